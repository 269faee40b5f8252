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

/// Makes the remedy that names a text.
macro_rules! remedy {
    ($text:literal) => {
        concat!(
            "the client signs with ",
            $text,
            " {secret}: remove it from the client's configuration"
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
    SecretPadding::new(b"", b"\\n", remedy!("`\\n` behind")),
    SecretPadding::new(b"'", b"'", QUOTES),
    SecretPadding::new(b"`", b"`", QUOTES),
    SecretPadding::new(b"", b"\"", QUOTE),
    SecretPadding::new(b"\"", b"", QUOTE),
    SecretPadding::new(b"", b"'", QUOTE),
    SecretPadding::new(b"'", b"", QUOTE),
    SecretPadding::new(b"\\\"", b"\\\"", QUOTES),
    // Typographic quotes.
    SecretPadding::new(b"\xE2\x80\x9C", b"\xE2\x80\x9D", QUOTES),
    SecretPadding::new(b"<", b">", remedy!("angle brackets around")),
    SecretPadding::new(b"", b",", remedy!("a comma behind")),
    SecretPadding::new(b"", b"\",", remedy!("`\",` behind")),
    SecretPadding::new(b"", b";", remedy!("a semicolon behind")),
    SecretPadding::new(b"", b".", remedy!("a full stop behind")),
    SecretPadding::new(b"b'", b"'", remedy!("`b'` and `'` around")),
    SecretPadding::new(b"=", b"", remedy!("`=` in front of")),
    SecretPadding::new(b"", b"\xC2\xA0", NO_BREAK_SPACE),
    SecretPadding::new(b"\xC2\xA0", b"", NO_BREAK_SPACE),
    SecretPadding::new(b"", b"\xE2\x80\x8B", ZERO_WIDTH),
    SecretPadding::new(b"\xE2\x80\x8B", b"", ZERO_WIDTH),
    SecretPadding::new(b"\xEF\xBB\xBF", b"", BYTE_ORDER_MARK),
    SecretPadding::new(b"", b"\xEF\xBB\xBF", BYTE_ORDER_MARK),
    // A byte order mark that was read as Latin-1.
    SecretPadding::new(b"\xC3\xAF\xC2\xBB\xC2\xBF", b"", BYTE_ORDER_MARK),
];

const SPACE_BEHIND: &str = remedy!("white space behind");

const SPACE_BEFORE: &str = remedy!("white space in front of");

const SPACES: &str = remedy!("white space around");

const TAB: &str = remedy!("a tab next to");

const BREAK_BEHIND: &str = remedy!("a line break behind");

const BREAK_BEFORE: &str = remedy!("a line break in front of");

const BREAKS: &str = remedy!("line breaks around");

const QUOTES: &str = remedy!("quotes around");

const QUOTE: &str = remedy!("a quote next to");

const NO_BREAK_SPACE: &str = remedy!("a no-break space next to");

const ZERO_WIDTH: &str = remedy!("a zero-width space next to");

const BYTE_ORDER_MARK: &str = remedy!("a byte order mark next to");
