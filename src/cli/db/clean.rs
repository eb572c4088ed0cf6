//! `updraft db clean`: the scheduler forgets, a portion at a time, so that nothing under way is ever touched.

use chrono::Utc;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::HumanCount;

use crate::domain::ids::RunKey;
use crate::domain::run::iso;
use crate::node::client::Client;
use crate::protocol::control::{self, Control, HistoryTable};

use super::super::arguments::{Output, WrittenDate};
use super::super::error::CliError;
use super::super::output::Rows;
use super::super::session::Session;

#[derive(Clone, Debug, Args)]
pub struct Clean {
    /// What ended before this instant goes.
    #[arg(long, value_name = "DATE")]
    clean_before_timestamp: WrittenDate,
    /// Only these tables, with commas between them; without it all.
    #[arg(short = 't', long, value_name = "TABLES", value_delimiter = ',', value_parser = table())]
    tables: Vec<HistoryTable>,
    /// Only say how much would go.
    #[arg(long)]
    dry_run: bool,
    /// Accepted for Airflow: nothing is archived here.
    #[arg(long)]
    skip_archive: bool,
    /// Say yes to the question beforehand.
    #[arg(short = 'y', long)]
    yes: bool,
    #[command(flatten)]
    output: Output,
}

fn table() -> impl TypedValueParser<Value = HistoryTable> {
    PossibleValuesParser::new(HistoryTable::ALL.map(HistoryTable::as_str))
        .map(|word| HistoryTable::from_word(&word).expect("the parser lets only these words through"))
}

impl Clean {
    pub async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let zone = session.config()?.settings().core.default_timezone;
        let before = self.clean_before_timestamp.at(zone);
        if before > Utc::now() {
            return Err(CliError::usage(format!("{} lies in the future", iso(before))));
        }
        let client = session.client().await?;
        let tables = match self.tables.as_slice() {
            [] => HistoryTable::ALL.to_vec(),
            named => named.to_vec(),
        };
        let mut rows = Rows::new(["table", "rows"]);
        let mut total = 0;
        for table in HistoryTable::ALL.into_iter().filter(|table| goes(*table, &tables)) {
            let count = client.store.count_old(table, before).await?;
            total += count;
            rows.push([table.as_str().into(), count.to_string().into()]);
        }
        rows.write(self.output.format, &mut session.out)?;
        if self.dry_run || total == 0 {
            session.say(format_args!("Nothing was changed: {} rows ended before {}", HumanCount(total), iso(before)));
            return Ok(());
        }
        session.say(format_args!("{} rows that ended before {} go for good", HumanCount(total), iso(before)));
        if !self.skip_archive {
            session.say("no copy of them is kept (Airflow's --skip-archive)");
        }
        if !self.yes && !session.confirm("Proceed?")? {
            session.say("Nothing was changed");
            return Ok(());
        }
        let runs = clean(&client, session, control::Clean { before, tables, after: RunKey(0) }).await?;
        session.say(format_args!("Done: {} runs were cleaned", HumanCount(runs)));
        Ok(())
    }
}

/// Runs go with everything that hangs on them.
fn goes(table: HistoryTable, named: &[HistoryTable]) -> bool {
    match table {
        HistoryTable::TaskInstance | HistoryTable::TaskInstanceHistory | HistoryTable::Xcom => {
            named.contains(&table) || named.contains(&HistoryTable::DagRun)
        }
        HistoryTable::DagRun | HistoryTable::Backfill | HistoryTable::Notification | HistoryTable::Command => {
            named.contains(&table)
        }
    }
}

/// Portion after portion; gives how many runs there were.
async fn clean(client: &Client, session: &Session, mut wish: control::Clean) -> Result<u64, CliError> {
    let mut cleaned = 0;
    loop {
        let (runs, last) = client.control(&Control::Clean(wish.clone()), session.user()).await?.cleaned()?;
        cleaned += u64::from(runs);
        match last {
            Some(last) => wish.after = last,
            None => return Ok(cleaned),
        }
    }
}
