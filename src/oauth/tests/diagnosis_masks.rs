//! The masks of a diagnosis that others than the sender see: no value is shown as a name.

use MismatchCause::*;

use super::diagnosis_client::Case;
use crate::oauth::diagnosis::MismatchCause;

#[test]
fn no_value_is_shown_as_a_name() {
    for (cause, query, signed) in AS_NAMES {
        let url = format!("https://api.example.com/photos?{query}");
        let case = Case::new(&[*cause], signed, &url, |client| {
            client.parameters = pairs(signed)
        });
        let found = case.explained_masked().unwrap_or_else(|| panic!("{query}"));
        assert_eq!(found.causes, [*cause], "{query}");
        let shown = format!("{found:?}").to_lowercase();
        assert!(!shown.contains("hunter2"), "{query}: {shown}");
        let revealed = case.explained().unwrap();
        assert!(
            revealed
                .client_base_string
                .to_lowercase()
                .contains("hunter2"),
            "{query}: {revealed:?}"
        );
    }
}

#[test]
fn the_names_that_are_sent_are_shown() {
    for (cause, query, signed, name) in [
        (
            SemicolonSeparator,
            "size=1;hunter2=x",
            "size=1&hunter2=x",
            "%26size%3D***",
        ),
        (
            SemicolonSeparator,
            "size=1,hunter2=x",
            "size=1&hunter2=x",
            "%26size%3D***",
        ),
        (
            NamesChanged,
            "pageSize=5",
            "page_size=5",
            "%26page_size%3D***",
        ),
    ] {
        let url = format!("https://api.example.com/photos?{query}");
        let case = Case::new(&[cause], signed, &url, move |client| {
            client.parameters = pairs(signed)
        });
        let found = case.explained_masked().unwrap();
        assert!(found.client_base_string.contains(name), "{found:?}");
    }
}

/// The cause, the query that arrives, and the parameters that the client signs, not encoded.
const AS_NAMES: &[(MismatchCause, &str, &str)] = &[
    (SemicolonSeparator, "a=1;hunter2=x&b=1", "a=1&hunter2=x&b=1"),
    (SemicolonSeparator, "a=x;hunter2=", "a=x&hunter2="),
    (SemicolonSeparator, "a=1,hunter2=x", "a=1&hunter2=x"),
    (SemicolonSeparator, "a=1?hunter2=x", "a=1&hunter2=x"),
    (SemicolonSeparator, "a=1|hunter2=x", "a=1&hunter2=x"),
    (
        DecodedTwice,
        "q=fish%26hunter2%3D1&z=2",
        "q=fish&hunter2=1&z=2",
    ),
    (ValuesChanged, "password=hunter2", "hunter2=password"),
    // Names that are masked because they may be something else.
    (EmptyValue, "hunter2", "hunter2=true"),
    (NamesChanged, "%24hunter2=x", "hunter2=x"),
    (ValuesChanged, "hunter2=%3D", "hunter2=\"=\""),
];

/// Turns `a=1&b=2` into pairs, without decoding; only the first `=` counts.
fn pairs(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
