//! Texts that clients have around a secret: copied with it, or added by an editor or a shell.

/// A text around a secret.
pub(super) struct SecretPadding {
    pub(super) before: &'static [u8],
    pub(super) after: &'static [u8],
    /// The remedy, with `{secret}`.
    pub(super) remedy: &'static str,
    /// The mistake is frequent.
    pub(super) is_usual: bool,
}

impl SecretPadding {
    const fn new(before: &'static [u8], after: &'static [u8], remedy: &'static str) -> Self {
        Self {
            before,
            after,
            remedy,
            is_usual: false,
        }
    }

    const fn usual(mut self) -> Self {
        self.is_usual = true;
        self
    }
}

/// Makes the remedy that names a text, as `it` or `them`.
macro_rules! remedy {
    ($text:literal) => {
        remedy!($text, "it")
    };
    ($text:literal, $them:literal) => {
        concat!(
            "the client signs with ",
            $text,
            " {secret}: remove ",
            $them,
            " from the client's configuration"
        )
    };
}

/// The texts around secrets, the frequent ones first.
pub(super) const PADDINGS: [SecretPadding; 40] = [
    SecretPadding::new(b"", b" ", SPACE_BEHIND).usual(),
    SecretPadding::new(b"", b"\n", BREAK_BEHIND).usual(),
    SecretPadding::new(b"", b"\r\n", BREAK_BEHIND).usual(),
    SecretPadding::new(b"\"", b"\"", QUOTES).usual(),
    SecretPadding::new(b" ", b"", SPACE_BEFORE),
    SecretPadding::new(b" ", b" ", SPACES),
    SecretPadding::new(b"", b"  ", SPACE_BEHIND),
    SecretPadding::new(b"", b"\t", TAB),
    SecretPadding::new(b"\t", b"", TAB),
    SecretPadding::new(b"\t", b"\t", TAB),
    SecretPadding::new(b"", b"\r", BREAK_BEHIND),
    SecretPadding::new(b"", b"\n\n", BREAK_BEHIND),
    SecretPadding::new(b"", b" \n", BREAK_BEHIND),
    SecretPadding::new(b"\n", b"", BREAK_BEFORE),
    SecretPadding::new(b"\r\n", b"", BREAK_BEFORE),
    SecretPadding::new(b"\n", b"\n", BREAKS),
    SecretPadding::new(b"\r\n", b"\r\n", BREAKS),
    SecretPadding::new(b"", b"\\n", remedy!("`\\n` after")),
    SecretPadding::new(b"'", b"'", QUOTES),
    SecretPadding::new(b"`", b"`", QUOTES),
    SecretPadding::new(b"", b"\"", QUOTE),
    SecretPadding::new(b"\"", b"", QUOTE),
    SecretPadding::new(b"", b"'", QUOTE),
    SecretPadding::new(b"'", b"", QUOTE),
    SecretPadding::new(b"\\\"", b"\\\"", QUOTES),
    // Typographic quotes.
    SecretPadding::new(b"\xE2\x80\x9C", b"\xE2\x80\x9D", QUOTES),
    SecretPadding::new(b"<", b">", remedy!("angle brackets around", "them")),
    SecretPadding::new(b"", b",", remedy!("a comma after")),
    SecretPadding::new(b"", b"\",", remedy!("`\",` after")),
    SecretPadding::new(b"", b";", remedy!("a semicolon after")),
    SecretPadding::new(b"", b".", remedy!("a full stop after")),
    SecretPadding::new(b"b'", b"'", remedy!("`b'` and `'` around", "them")),
    SecretPadding::new(b"=", b"", remedy!("`=` before")),
    SecretPadding::new(b"", b"\xC2\xA0", NO_BREAK_SPACE),
    SecretPadding::new(b"\xC2\xA0", b"", NO_BREAK_SPACE),
    SecretPadding::new(b"", b"\xE2\x80\x8B", ZERO_WIDTH),
    SecretPadding::new(b"\xE2\x80\x8B", b"", ZERO_WIDTH),
    SecretPadding::new(b"\xEF\xBB\xBF", b"", BYTE_ORDER_MARK),
    SecretPadding::new(b"", b"\xEF\xBB\xBF", BYTE_ORDER_MARK),
    // A byte order mark that was read as Latin-1.
    SecretPadding::new(b"\xC3\xAF\xC2\xBB\xC2\xBF", b"", BYTE_ORDER_MARK),
];

const SPACE_BEHIND: &str = remedy!("white space after");

const SPACE_BEFORE: &str = remedy!("white space before");

const SPACES: &str = remedy!("white space around");

const TAB: &str = remedy!("a tab next to");

const BREAK_BEHIND: &str = remedy!("a line break after");

const BREAK_BEFORE: &str = remedy!("a line break before");

const BREAKS: &str = remedy!("line breaks around", "them");

const QUOTES: &str = remedy!("quotes around", "them");

const QUOTE: &str = remedy!("a quote next to");

const NO_BREAK_SPACE: &str = remedy!("a no-break space next to");

const ZERO_WIDTH: &str = remedy!("a zero-width space next to");

const BYTE_ORDER_MARK: &str = remedy!("a byte order mark next to");
