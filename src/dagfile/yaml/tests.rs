use super::*;
use crate::dagfile::lower::{Defaults, lower};

#[test]
fn probe() {
    for (name, text) in [
        ("key", "dag_id: etl\nschedule: '@daily'\ntasks:\n  - task_id: a\n    bash: echo\n    retrys: 3\n"),
        ("map", "dag_id: etl\ntasks:\n  a:\n    bash: echo\n    retry_delay: 5x\n  b: {bash: x, depends_on: [a]}\n"),
        ("top", "dag_id: etl\ntasks:\n  a:\n    bash: echo\ncatchup: yes\n"),
        ("neg", "dag_id: etl\ntasks:\n  a:\n    bash: true\n    retries: -1\nmax_active_runs: many\n"),
        ("syntax", "dag_id: etl\ntasks:\n  a:\n   bash: echo\n  - b\n"),
        ("tab", "dag_id: etl\ntasks:\n\ta: {}\n"),
        ("dup", "dag_id: etl\ntasks:\n  a: {bash: x}\n  a: {bash: y}\n"),
        ("list", "- a\n- b\n"),
        ("scalar", "hello\n"),
        ("sched", "dag_id: x\nschedule: [a]\ntasks: {a: {python: {modul: x}}}\n"),
        ("date", "dag_id: x\nstart_date: tomorrow\ntasks: {a: {python: {modul: x}}}\n"),
        ("py", "dag_id: x\ntasks:\n  a: {python: {modul: x}}\n"),
        ("unit", "dag_id: x\ntasks:\n  a:\n    retry_delay: {minuts: 3}\n"),
        (
            "ok",
            "schedule: null\ntasks:\n  a:\n  b: {bash: true, depends_on: a, skip_on_exit_code: null, env: {A: 1, B: yes, C: }}\n",
        ),
        (
            "docs",
            "dag_id: a\ntasks: {x: {bsh: 1}}\n---\ndag_id: b\ntasks: {x: {bash: hi, depends_on: [y, x]}}\n---\ntasks: {}\n",
        ),
        ("merge", "dag_id: a\nx: &x {bash: hi}\ntasks:\n  a: *x\n"),
        ("merge2", "dag_id: a\ntasks:\n  a: &x {bash: hi}\n  b: {<<: *x, depends_on: a}\n  c: *x\n"),
        ("unclosed", "dag_id: \"a\ntasks:\n"),
        ("empty", ""),
        (
            "types",
            "dag_id: a\ndescription: [x]\n---\ndag_id: b\ntasks: {a: [x]}\n---\ndag_id: c\ntasks: {a: {retries: 1.5}}\n---\ndag_id: d\ntasks: {a: {priority_weight: high}}\n---\ndag_id: e\ntasks: {a: {bash: [x]}}\n---\ndag_id: f\ntasks: 7\n---\ndag_id: g\ntags: {}\n---\ndag_id: h\nparams: []\n---\ndag_id: i\ntasks: {a: {env: [A]}}\n---\ndag_id: j\ntasks: [{task_id: a, depends_on: b, bash: 1}]\n---\n- x\n",
        ),
        (
            "bomb",
            &format!(
                "a0: &a0 [x,x,x,x,x,x,x,x,x]\n{}params: *a9",
                (1..10)
                    .map(|i| format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(",")))
                    .collect::<String>()
            ),
        ),
        (
            "bomb2",
            &format!(
                "params:\n  a0: &a0 [x,x,x,x,x,x,x,x,x]\n{}",
                (1..10)
                    .map(|i| format!("  a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(",")))
                    .collect::<String>()
            ),
        ),
        ("deep2", &format!("params: {{a: {}", "[".repeat(5000))),
        ("nl", "dag_id: a\ntasks:\n  a: {bash: x\n"),
        ("deep", &format!("params: {}", "[".repeat(5000))),
    ] {
        let (dags, problems) = parse("dir/some.yaml", text);
        println!("== {name}");
        for p in problems {
            println!("{p}\n{}", p.detail.clone().unwrap_or_default());
        }
        for d in dags {
            let l = lower(d, "dir/some.yaml", &Defaults::default());
            for p in l.problems {
                println!("LOW {p}");
            }
            println!(
                "{:?}",
                l.dag.map(|d| (
                    d.dag_id,
                    d.schedule,
                    d.tasks.into_iter().map(|t| (t.task_id, t.operator, t.upstream)).collect::<Vec<_>>()
                ))
            );
        }
    }
}
