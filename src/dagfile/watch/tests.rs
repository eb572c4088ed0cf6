//! Watches real folders. Each wait ends with the event or fails after ten seconds.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

const TIMES: WatchTimes = WatchTimes {
    debounce: Duration::from_millis(20),
    patience: Duration::from_millis(200),
    fallback: Duration::from_millis(100),
};

async fn notice(watch: &mut Watch) -> Notice {
    timeout(Duration::from_secs(10), watch.next()).await.expect("a notice")
}

/// Waits until a change is told at `path` or at a folder above it.
async fn change_at(watch: &mut Watch, path: &Path) {
    let told = async {
        loop {
            if let Notice::Changed(paths) = watch.next().await
                && paths.iter().any(|changed| path.starts_with(changed))
            {
                return;
            }
        }
    };
    timeout(Duration::from_secs(10), told).await.expect("the change is told");
}

#[tokio::test]
async fn a_saved_file_is_told_within_a_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut watch = Watch::start(folder.path(), WatchTimes::default()).await;
    let path = folder.path().join("a.yaml");
    let start = Instant::now();
    fs::write(&path, "1").expect("a file");
    assert_eq!(notice(&mut watch).await, Notice::Changed([path.clone()].into()));
    assert!(start.elapsed() < Duration::from_secs(1));
    fs::remove_file(&path).expect("a file");
    assert_eq!(notice(&mut watch).await, Notice::Changed([path].into()));
}

#[tokio::test]
async fn an_editor_that_renames_on_save_is_told_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.yaml");
    fs::write(&path, "1").expect("a file");
    let mut watch = Watch::start(folder.path(), TIMES).await;
    fs::write(folder.path().join(".a.yaml.swp"), "2").expect("a file");
    fs::rename(folder.path().join(".a.yaml.swp"), &path).expect("a rename");
    assert_eq!(notice(&mut watch).await, Notice::Changed([path].into()));
    assert!(!watch.heard.has_pending());
}

#[tokio::test]
async fn files_in_new_and_moved_folders_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let mut watch = Watch::start(folder.path(), TIMES).await;
    let deep = folder.path().join("team/deep");
    fs::create_dir_all(&deep).expect("folders");
    fs::write(deep.join("a.yaml"), "1").expect("a file");
    change_at(&mut watch, &deep.join("a.yaml")).await;
    fs::write(deep.join("b.yaml"), "1").expect("a file");
    change_at(&mut watch, &deep.join("b.yaml")).await;

    fs::create_dir(elsewhere.path().join("moved")).expect("a folder");
    fs::rename(elsewhere.path().join("moved"), folder.path().join("moved")).expect("a rename");
    change_at(&mut watch, &folder.path().join("moved")).await;
    fs::write(folder.path().join("moved/c.yaml"), "1").expect("a file");
    change_at(&mut watch, &folder.path().join("moved/c.yaml")).await;
}

#[tokio::test]
async fn a_folder_that_is_deleted_and_comes_back_is_watched_on() {
    let keep = tempfile::tempdir().expect("a folder");
    let root = keep.path().join("dags");
    fs::create_dir(&root).expect("a folder");
    let mut watch = Watch::start(&root, TIMES).await;
    for _ in 0..2 {
        fs::remove_dir_all(&root).expect("a folder");
        change_at(&mut watch, &root).await;
        fs::create_dir(&root).expect("a folder");
        change_at(&mut watch, &root).await;
        while !matches!(watch.state, State::Armed { .. }) {
            change_at(&mut watch, &root).await;
        }
        fs::write(root.join("a.yaml"), "1").expect("a file");
        change_at(&mut watch, &root.join("a.yaml")).await;
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_yet_is_told_when_it_comes() {
    let keep = tempfile::tempdir().expect("a folder");
    let root = keep.path().join("not/yet/dags");
    let mut watch = Watch::start(&root, TIMES).await;
    fs::create_dir_all(&root).expect("folders");
    change_at(&mut watch, &root).await;
    fs::write(root.join("a.yaml"), "1").expect("a file");
    change_at(&mut watch, &root.join("a.yaml")).await;
}

#[tokio::test]
async fn a_link_that_is_swapped_is_told_and_followed() {
    let keep = tempfile::tempdir().expect("a folder");
    let at = |name: &str| keep.path().join(name);
    fs::create_dir(at("v1")).expect("a folder");
    fs::create_dir(at("v2")).expect("a folder");
    symlink("v1", at("dags")).expect("a link");
    let mut watch = Watch::start(at("dags"), TIMES).await;
    symlink("v2", at("next")).expect("a link");
    fs::rename(at("next"), at("dags")).expect("a rename");
    change_at(&mut watch, &at("dags")).await;
    fs::write(at("v2/a.yaml"), "1").expect("a file");
    change_at(&mut watch, &at("dags/a.yaml")).await;
}

#[tokio::test]
async fn a_watcher_that_fails_is_told_and_replaced_by_a_slow_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut watch = Watch::start(folder.path(), TIMES).await;
    watch.heard.on_event(folder.path(), Err(notify::Error::new(ErrorKind::MaxFilesWatch)));
    let everywhere = Notice::Changed([folder.path().to_owned()].into());
    assert_eq!(notice(&mut watch).await, everywhere);
    match notice(&mut watch).await {
        Notice::Degraded(problem) => assert!(problem.to_string().contains("max_user_watches"), "{problem}"),
        other => panic!("expected Degraded, got {other:?}"),
    }
    // The system has watches to give, so the next look finds events again.
    assert_eq!(notice(&mut watch).await, everywhere);
    assert_eq!(notice(&mut watch).await, Notice::Restored);
}

#[test]
fn reading_and_foreign_files_do_not_count() {
    let root = Path::new("/dags");
    let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
    let table = [
        ("/dags/a.yaml", written, true),
        ("/dags/a.yaml", EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
        ("/dags/a.yaml", EventKind::Access(AccessKind::Close(AccessMode::Read)), false),
        ("/dags/.airflowignore", written, true),
        ("/dags/team/.airflowignore", written, true),
        ("/dags/output.csv", written, false),
        ("/dags/.a.yaml.swp", written, false),
        ("/dags/.git/x.yaml", written, false),
        ("/dags/__pycache__/a.py", written, false),
        ("/dags/team", EventKind::Create(CreateKind::Folder), true),
        ("/dags/team", EventKind::Remove(RemoveKind::Folder), true),
        ("/dags", EventKind::Remove(RemoveKind::Any), true),
        ("/elsewhere/a.yaml", written, false),
        ("/dagsters/a.yaml", written, false),
    ];
    for (path, kind, expected) in table {
        assert_eq!(matters(root, Path::new(path), kind), expected, "{path} {kind:?}");
    }
}
