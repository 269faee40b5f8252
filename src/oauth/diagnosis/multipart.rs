//! Multipart bodies (RFC 7578), read as the parameters that clients make of them.

use memchr::memmem;

use super::super::pair::ParameterPair;

/// Returns the readings of a multipart body as parameters: its fields, with files and without.
pub(super) fn multipart_readings(
    content_type: &[u8],
    body: &[u8],
) -> Vec<Vec<ParameterPair<'static>>> {
    let Some(boundary) = boundary(content_type) else {
        return Vec::new();
    };
    let fields = fields(boundary, body);
    let pairs = |value: &dyn Fn(&Field<'_>) -> Option<ParameterPair<'static>>| {
        fields.iter().filter_map(value).collect::<Vec<_>>()
    };
    let file = |field: &Field<'_>, value: &[u8]| Some(ParameterPair::encode(field.name, value));
    let mut readings = vec![pairs(&|field| match field.file_name {
        None => file(field, field.value),
        Some(_) => None,
    })];
    if fields.iter().any(|field| field.file_name.is_some()) {
        readings.push(pairs(&|field| file(field, field.value)));
        readings.push(pairs(&|field| {
            file(field, field.file_name.unwrap_or(field.value))
        }));
        readings.push(pairs(&|field| match field.file_name {
            None => file(field, field.value),
            Some(_) => file(field, b""),
        }));
    }
    readings
}

/// A field of the body.
struct Field<'b> {
    name: &'b [u8],
    value: &'b [u8],
    /// The name of the file, if the field is one.
    file_name: Option<&'b [u8]>,
}

fn fields<'b>(boundary: &[u8], body: &'b [u8]) -> Vec<Field<'b>> {
    let delimiter = [b"--", boundary].concat();
    let mut parts = Vec::new();
    let mut rest = body;
    while let Some(at) = memmem::find(rest, &delimiter) {
        parts.push(&rest[..at]);
        rest = &rest[at + delimiter.len()..];
        if parts.len() > MAX_PARAMETERS {
            break;
        }
    }
    // In front of the first delimiter is the preamble.
    parts.into_iter().skip(1).filter_map(field).collect()
}

fn field(part: &[u8]) -> Option<Field<'_>> {
    let (head, value) = [&b"\r\n\r\n"[..], b"\n\n"].iter().find_map(|end| {
        let at = memmem::find(part, end)?;
        Some((&part[..at], &part[at + end.len()..]))
    })?;
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    Some(Field {
        name: parameter(head, b" name=")?,
        value: value.strip_suffix(b"\r").unwrap_or(value),
        file_name: parameter(head, b" filename="),
    })
}

fn boundary(content_type: &[u8]) -> Option<&[u8]> {
    let is_multipart = content_type
        .first_chunk()
        .is_some_and(|name: &[u8; MULTIPART.len()]| name.eq_ignore_ascii_case(MULTIPART));
    let boundary = parameter(content_type, b"boundary=")?;
    (is_multipart && !boundary.is_empty()).then_some(boundary)
}

/// Returns the value of a header's parameter, without quotes.
fn parameter<'h>(header: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let at = header
        .windows(name.len())
        .position(|part| part.eq_ignore_ascii_case(name))?;
    let value = &header[at + name.len()..];
    if let Some(quoted) = value.strip_prefix(b"\"") {
        return quoted.split(|&byte| byte == b'"').next();
    }
    let is_end = |byte: &u8| matches!(byte, b';' | b'\r' | b'\n' | b' ');
    value.split(is_end).next()
}

const MULTIPART: &[u8] = b"multipart/";

/// The most parts that are read.
const MAX_PARAMETERS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_with_and_without_files() {
        let body =
            b"--X\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nSummer\r\n--X\r\n\
                     Content-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\n\
                     Content-Type: image/jpeg\r\n\r\nJPEG\r\n--X--\r\n";
        let readings = multipart_readings(b"multipart/form-data; boundary=\"X\"", body);
        let readings: Vec<_> = readings.iter().map(|pairs| text(pairs)).collect();
        let expected = [
            "title=Summer",
            "title=Summer&photo=JPEG",
            "title=Summer&photo=a.jpg",
            "title=Summer&photo=",
        ];
        assert_eq!(readings, expected);
        for other in [&b"multipart/form-data"[..], b"text/plain; boundary=X", b""] {
            assert!(multipart_readings(other, body).is_empty());
        }
        for end in 0..body.len() {
            multipart_readings(b"multipart/form-data; boundary=X", &body[..end]);
        }
    }

    fn text(pairs: &[ParameterPair<'_>]) -> String {
        let pairs = pairs
            .iter()
            .map(|pair| [&*pair.name, b"=", &*pair.value].concat());
        let pairs: Vec<_> = pairs.collect();
        String::from_utf8(pairs.join(&b'&')).unwrap()
    }
}
