//! The roles of callers: administrators may make every call, issuers the listed ones.
//!
//! The comments in `proto/` name the role of each call ("Role: issuer"); a test compares both.

/// The role of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The administrator, who may make every call.
    Admin,
    /// An issuer, who may issue, exchange, introspect and revoke tokens.
    Issuer,
}

impl Role {
    /// Returns true if the role permits the method at `path`. Unlisted methods are for
    /// administrators.
    pub(super) fn may_call(self, path: &str) -> bool {
        match self {
            Self::Admin => true,
            Self::Issuer => OF_ISSUERS.contains(&path),
        }
    }
}

/// The HTTP paths of the calls that issuers may make.
const OF_ISSUERS: [&str; 10] = [
    "/countersign.v1.TokenService/AuthorizeRequestToken",
    "/countersign.v1.TokenService/CreateRequestToken",
    "/countersign.v1.TokenService/CreateToken",
    "/countersign.v1.TokenService/ExchangePassword",
    "/countersign.v1.TokenService/ExchangeRequestToken",
    "/countersign.v1.TokenService/GetRequestToken",
    "/countersign.v1.TokenService/IntrospectToken",
    "/countersign.v1.TokenService/RefuseRequestToken",
    "/countersign.v1.TokenService/RevokeToken",
    "/countersign.v1.TokenService/RevokeTokens",
];

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::v1::FILE_DESCRIPTOR_SET;

    #[test]
    fn an_issuer_may_make_only_the_calls_with_its_comment() {
        let mut of_issuers = 0;
        for (path, comment) in calls() {
            let said = comment.contains("Role: issuer.");
            assert_eq!(Role::Issuer.may_call(&path), said, "{path}");
            assert!(Role::Admin.may_call(&path), "{path}");
            of_issuers += usize::from(said);
        }
        assert_eq!(
            of_issuers,
            OF_ISSUERS.len(),
            "every call of the list is there"
        );
    }

    #[test]
    fn unknown_calls_are_for_administrators() {
        for path in [
            "",
            "/",
            "/countersign.v1.TokenService/",
            "/countersign.v1.TokenService/createtoken",
        ] {
            assert!(!Role::Issuer.may_call(path), "{path}");
        }
    }

    /// Returns the path of every call and the comment above it.
    fn calls() -> Vec<(String, String)> {
        let definition = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let mut calls = Vec::new();
        for file in definition
            .file
            .iter()
            .filter(|file| file.package() == "countersign.v1")
        {
            let comments = &file.source_code_info.as_ref().unwrap().location;
            for (at_service, service) in (0..).zip(&file.service) {
                for (at_method, method) in (0..).zip(&service.method) {
                    // The numbers of `service` and `method` in descriptor.proto.
                    let place = comments
                        .iter()
                        .find(|location| location.path == [6, at_service, 2, at_method]);
                    let path = format!("/countersign.v1.{}/{}", service.name(), method.name());
                    calls.push((path, place.unwrap().leading_comments().to_owned()));
                }
            }
        }
        assert!(calls.len() > OF_ISSUERS.len());
        calls
    }
}
