//! Turns a request into a signed request.

use std::borrow::Cow;

use super::base_string::BaseString;
use super::collector::{CollectedParameters, ParameterCollector};
use super::credentials::{ProtocolCredentials, REQUIRED};
use super::form::BodyType;
use super::header::oauth_credentials;
use super::uri::{BaseUri, split_target};
use super::{ParameterPlace, ParseLimits, Rejection, Request, RequestBody, SignedRequest};

impl<'a> Request<'a> {
    /// Finds the protocol parameters.
    ///
    /// `Ok(None)` is a request without any `oauth_` parameter: unsigned, which is not the same as
    /// refused.
    ///
    /// [RFC 5849 section 3.2](https://www.rfc-editor.org/rfc/rfc5849#section-3.2)
    ///
    /// # Errors
    /// The [`Rejection`] that names the malformed part. An unsigned request is refused too if it
    /// may hide a protocol parameter: in an incomplete form, behind several `Content-Type` headers,
    /// or among too many or too long parameters.
    pub fn parse(&self, limits: &ParseLimits) -> Result<Option<SignedRequest<'a>>, Rejection> {
        let mut collector = ParameterCollector::new(limits);
        let credentials = oauth_credentials(self.authorization)?;
        let realm = match credentials {
            Some(credentials) => collector.add_header(credentials)?,
            None => None,
        };
        collector.add_form(ParameterPlace::Query, split_target(self.target).1)?;
        let body_type = BodyType::of(self.content_type)?;
        if body_type == BodyType::Form {
            collector.add_form(ParameterPlace::Body, self.whole_body()?)?;
        }
        match collector.finish()? {
            Some(collected) => self.signed(collected, realm, body_type, limits).map(Some),
            None if credentials.is_some() => Err(Rejection::Absent(REQUIRED)),
            None => Ok(None),
        }
    }

    const fn whole_body(&self) -> Result<&'a [u8], Rejection> {
        match self.body {
            RequestBody::Whole(body) => Ok(body),
            RequestBody::NotWhole | RequestBody::Unseen => Err(Rejection::BodyNotWhole),
        }
    }

    #[inline]
    fn signed(
        &self,
        collected: CollectedParameters<'a>,
        realm: Option<Cow<'a, [u8]>>,
        body_type: BodyType,
        limits: &ParseLimits,
    ) -> Result<SignedRequest<'a>, Rejection> {
        let place = collected.place;
        let base_string = BaseString::new(self.method, BaseUri::of(self)?, collected.pairs);
        base_string.refuse_duplicates(place)?;
        Ok(SignedRequest {
            request: *self,
            credentials: ProtocolCredentials::of(collected.protocol, limits)?,
            base_string,
            realm,
            place,
            body_type,
        })
    }
}
