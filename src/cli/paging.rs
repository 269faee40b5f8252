//! Lists, page by page as the server gives them.

use std::io::Write;

use serde::Serialize;

use super::output::List;

/// How much of a list is asked for.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Paging {
    /// How many to ask the server for at a time, at most 100
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    page_size: u16,
    /// Ends after so many [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Paging {
    /// Prints the list as it arrives. `page` asks for one page, given its size and the token of the page before, and
    /// gives its items and the token of the next; `row` is one line of a table.
    pub(crate) async fn print<T: Serialize, W: Write>(
        &self,
        mut list: List<W>,
        page: impl AsyncFn(i32, String) -> anyhow::Result<(Vec<T>, String)>,
        row: impl Fn(&T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        let (mut left, mut page_token) = (self.limit.unwrap_or(usize::MAX), String::new());
        while left > 0 {
            let (mut items, next) = page(self.size(left), page_token).await?;
            items.truncate(left);
            left -= items.len();
            list.page(&items, &row)?;
            if next.is_empty() {
                break;
            }
            page_token = next;
        }
        list.end()
    }

    /// No more than are wanted, so that the last page is not asked for in vain.
    fn size(&self, left: usize) -> i32 {
        let size = if self.page_size == 0 {
            LARGEST_PAGE
        } else {
            self.page_size
        };
        i32::from(size.min(u16::try_from(left).unwrap_or(u16::MAX)))
    }
}

/// What the server gives at most.
const LARGEST_PAGE: u16 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Format;

    #[tokio::test]
    async fn a_list_ends_after_its_last_page_or_its_limit() {
        for (limit, printed) in [
            (None, "[\n1,\n2,\n3\n]\n"),
            (Some(2), "[\n1,\n2\n]\n"),
            (Some(0), "[]\n"),
        ] {
            let (mut out, paging) = (
                Vec::new(),
                Paging {
                    page_size: 2,
                    limit,
                },
            );
            let page = async |size, token: String| {
                assert!(size <= 2, "{size}");
                Ok(if token.is_empty() {
                    (vec![1, 2], "next".to_owned())
                } else {
                    (vec![3], String::new())
                })
            };
            paging
                .print(List::new(Format::Json, &["N"], &mut out), page, |_| {
                    Vec::new()
                })
                .await
                .unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), printed, "{limit:?}");
        }
    }
}
