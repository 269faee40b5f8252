//! The look of the pages, by which users recognize whose service it is: its name, logo and color.

use std::borrow::Cow;
use std::sync::Arc;

use super::logo::ServiceLogo;
use crate::config::{AccentColor, Config};
use crate::server::pages::PageSources;

/// The look of the pages.
#[derive(Debug)]
pub(super) struct PageBrand {
    name: Option<String>,
    logo: Option<Arc<ServiceLogo>>,
    style: Cow<'static, str>,
    sources: PageSources,
}

impl PageBrand {
    /// Returns the look that the configuration describes.
    pub(super) fn new(config: &Config, logo: Option<Arc<ServiceLogo>>) -> Self {
        let authorize = &config.authorize;
        let public_url = config.http.public_url.as_ref();
        let style = match authorize.accent_color {
            Some(color) => Cow::Owned(accented(color)),
            None => Cow::Borrowed(STYLE),
        };
        let mut sources = PageSources::of_style(&style);
        if logo.is_some() {
            sources = sources.with_data_images();
        }
        Self {
            // The host is what users recognize if there is no name.
            name: authorize
                .service_name
                .clone()
                .or_else(|| public_url.map(|url| url.authority.clone())),
            logo,
            style,
            sources,
        }
    }

    /// Returns the name of the service, if it has one.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the URL of the logo, if there is one.
    pub(super) fn logo(&self) -> Option<&str> {
        self.logo.as_deref().map(ServiceLogo::data_url)
    }

    /// Returns the style of all pages.
    pub(super) fn style(&self) -> &str {
        &self.style
    }

    /// Returns the sources that the pages load.
    pub(super) const fn sources(&self) -> &PageSources {
        &self.sources
    }
}

impl Default for PageBrand {
    fn default() -> Self {
        Self::new(&Config::default(), None)
    }
}

/// Returns the style with the operator's color.
fn accented(color: AccentColor) -> String {
    let dark = color.on_dark();
    format!(
        "{STYLE}:root {{ --action: {color}; --on-action: #fff }}\n\
         @media (prefers-color-scheme: dark) {{ :root {{ --action: {dark}; --on-action: #0f1216 }} }}\n"
    )
}

/// The style of all pages, without an operator's color.
const STYLE: &str = include_str!("../../../../templates/authorize/style.css");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_the_service_or_its_host() {
        let mut config = Config::default();
        let name = |config: &Config| PageBrand::new(config, None).name().map(str::to_owned);
        assert_eq!(name(&config), None);
        let url = crate::config::Origin::parse("https://photos.example.com/api");
        config.http.public_url = Some(url.unwrap());
        assert_eq!(name(&config).as_deref(), Some("photos.example.com"));
        config.authorize.service_name = Some("Photos".to_owned());
        assert_eq!(name(&config).as_deref(), Some("Photos"));
    }

    #[test]
    fn a_color_replaces_that_of_both_color_schemes() {
        let mut config = Config::default();
        config.authorize.accent_color = AccentColor::parse("#8b0000").ok();
        let brand = PageBrand::new(&config, None);
        let added = brand.style().strip_prefix(STYLE).unwrap();
        assert!(added.contains("--action: #8b0000"), "{added}");
        assert_eq!(added.matches("--action").count(), 2);
    }
}
