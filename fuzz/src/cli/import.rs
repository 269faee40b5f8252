//! The readers of `countersign import`.

#[path = "../../../src/cli/import/csv.rs"]
mod csv;
#[path = "../../../src/cli/import/json_lines.rs"]
mod json_lines;
#[path = "../../../src/cli/import/lines.rs"]
mod lines;
#[path = "../../../src/cli/import/row.rs"]
mod row;

use self::csv::Csv;
use self::json_lines::JsonLines;
use self::lines::{Lines, Row, RowPlace};
use self::row::{Item, Problem};

/// Reads a CSV file, and judges its rows.
pub fn read_csv(file: &[u8]) {
    match Csv::open(Lines::new(file)) {
        Ok(mut rows) => judge_rows(file, || rows.next_row()),
        Err(error) => judge_error(&format!("{error:#}")),
    }
}

/// Reads a file of JSON Lines, and judges its rows.
pub fn read_json_lines(file: &[u8]) {
    let mut rows = JsonLines::new(Lines::new(file));
    judge_rows(file, || rows.next_row());
}

fn judge_rows(file: &[u8], mut next: impl FnMut() -> anyhow::Result<Option<Row>>) {
    let lines = file.split(|&byte| byte == b'\n').count() as u64;
    let (mut last_line, mut last_position) = (0, 0);
    loop {
        let row = match next() {
            Ok(Some(row)) => row,
            Ok(None) => return,
            Err(error) => return judge_error(&format!("{error:#}")),
        };
        let RowPlace::Line(line) = row.mark.place else {
            panic!("a row without its line")
        };
        assert!(
            line > last_line && line <= lines,
            "the row is in line {line} of {lines}"
        );
        assert!(row.mark.position > last_position && row.mark.position <= file.len() as u64);
        (last_line, last_position) = (line, row.mark.position);
        match row.item {
            Ok(item) => judge_item(&item),
            Err(problems) => judge_problems(&problems),
        }
    }
}

/// Panics if a row lacks what makes it one.
fn judge_item(item: &Item) {
    match item {
        Item::Consumer(request) => {
            let consumer = request.consumer.as_ref().expect("a consumer");
            assert!(!consumer.consumer_key.is_empty());
            assert!(!request.consumer_secret.is_empty() || !consumer.rsa_public_keys.is_empty());
            assert_eq!(request.no_shared_secret, request.consumer_secret.is_empty());
        }
        Item::Token(request) => {
            let token = request.token.as_ref().expect("a token");
            assert!(!token.token.is_empty() && !token.consumer_key.is_empty());
            assert!(!request.token_secret.is_empty());
        }
    }
}

fn judge_problems(problems: &[Problem]) {
    assert!(!problems.is_empty());
    for problem in problems {
        assert!(!problem.problem.is_empty());
    }
}

/// Panics if an error does not say where it is.
fn judge_error(text: &str) {
    assert!(text.contains("line "), "no place: {text}");
    assert!(
        !text.chars().any(|one| one.is_control()),
        "control characters: {text:?}"
    );
}
