//! Lists, fetched page by page.

use std::io::Write;

use serde::Serialize;

use super::output::List;

/// The size of a list and of its pages.
#[derive(Debug, clap::Args)]
pub(crate) struct Paging {
    /// Number of entries to request from the server at a time, 1 to 100
    #[arg(long, value_name = "N", default_value_t = LARGEST_PAGE)]
    page_size: u16,
    /// Number of entries to print at most [default: all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Paging {
    /// Returns the paging of a complete list.
    pub(crate) const fn all() -> Self {
        Self {
            page_size: LARGEST_PAGE,
            limit: None,
        }
    }

    /// Prints the list as it arrives. `page` fetches a page, given its size and the token of the
    /// page before, and returns its items and the token of the next; `row` is one line of a table.
    pub(crate) async fn print<T: Serialize, W: Write>(
        &self,
        mut list: List<W>,
        page: impl AsyncFn(i32, String) -> anyhow::Result<(Vec<T>, String)>,
        row: impl Fn(&T) -> Vec<String>,
    ) -> anyhow::Result<()> {
        let (mut left, mut page_token) = (self.limit(), String::new());
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

    /// Fetches the list. `page` fetches a page, as for [`print`](Self::print).
    pub(crate) async fn fetch<T>(
        &self,
        page: impl AsyncFn(i32, String) -> anyhow::Result<(Vec<T>, String)>,
    ) -> anyhow::Result<Vec<T>> {
        let (mut fetched, mut page_token) = (Vec::new(), String::new());
        let limit = self.limit();
        while fetched.len() < limit {
            let (items, next) = page(self.size(limit - fetched.len()), page_token).await?;
            fetched.extend(items);
            if next.is_empty() {
                break;
            }
            page_token = next;
        }
        fetched.truncate(limit);
        Ok(fetched)
    }

    /// Returns the largest number of entries.
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }

    /// Returns the size of the next page: not more than the rest of the limit.
    fn size(&self, left: usize) -> i32 {
        let left = u16::try_from(left).unwrap_or(u16::MAX);
        i32::from(self.page_size.clamp(1, LARGEST_PAGE).min(left))
    }
}

/// The server's limit.
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
