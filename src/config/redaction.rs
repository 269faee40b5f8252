//! Addresses without their credentials, for output and errors.

/// Redacts the credentials of an address: everything in front of the last `@`, because a password
/// may contain any character, and the value of each parameter of the query.
///
/// ```
/// use countersign::config::without_credentials;
///
/// let shown = without_credentials("https://bob:hunter2@users.example.com/?token=hunter3");
/// assert_eq!(shown, "https://***@users.example.com/?token=***");
/// ```
pub fn without_credentials(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        // The file of a store, which has no credentials.
        None if address.starts_with("embedded:") => return address.to_owned(),
        None => (String::new(), address),
    };
    let (credentials, rest) = match rest.rsplit_once('@') {
        Some((_, rest)) => ("***@", rest),
        None => ("", rest),
    };
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, redacted_query(query)),
        None => (rest, String::new()),
    };
    format!("{scheme}{credentials}{rest}{query}")
}

fn redacted_query(query: &str) -> String {
    let names = query.split('&').map(|pair| pair.split('=').next());
    let pairs: Vec<_> = names.flatten().map(|name| format!("{name}=***")).collect();
    format!("?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_of_an_address_is_shown() {
        for (url, shown) in [
            ("redis://h:6379/0", "redis://h:6379/0"),
            ("redis://:hunter2@h/0", "redis://***@h/0"),
            ("rediss://u:hun@ter/2?@h", "rediss://***@h"),
            (
                "redis+sentinel://u:hunter2@a,b/m?sentinel_password=hunter2",
                "redis+sentinel://***@a,b/m?sentinel_password=***",
            ),
            (
                "redis+sentinel://a/m?sentinel_password=hunter2",
                "redis+sentinel://a/m?sentinel_password=***",
            ),
            ("embedded:a@b?c", "embedded:a@b?c"),
            ("bob:hunter2@h:1", "***@h:1"),
            ("https://h/x?hunter2", "https://h/x?hunter2=***"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
