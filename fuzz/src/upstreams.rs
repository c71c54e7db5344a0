//! How web servers and frameworks read a path, each by its own rules: what the gateway matched must be what they understand.

/// What a reader takes for parameters of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parameters {
    /// There are none: nginx, Apache, PHP, Go, Node.
    None,
    /// From `;` to the next slash, before anything is decoded: Tomcat, Jetty.
    BeforeDecoding,
    /// The same, of the decoded path: some frameworks on top of those.
    AfterDecoding,
    /// From the first `;` to the end of the path: older servlet containers and ASP.
    ToTheEnd,
}

/// One way to read a path.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    parameters: Parameters,
    /// How often escapes are decoded: twice behind another proxy that decodes.
    rounds: usize,
    /// Whether the path is decoded before the query is split off.
    decodes_question_marks: bool,
}

/// Every reader there is.
pub fn readers() -> impl Iterator<Item = Reader> {
    use Parameters::{AfterDecoding, BeforeDecoding, None, ToTheEnd};
    let parameters = [None, BeforeDecoding, AfterDecoding, ToTheEnd];
    parameters.into_iter().flat_map(|parameters| {
        [(1, false), (2, false), (1, true)].map(|(rounds, decodes_question_marks)| Reader {
            parameters,
            rounds,
            decodes_question_marks,
        })
    })
}

impl Reader {
    /// The path that it acts on, of path and query as they stand in a request line.
    pub fn path(self, path_and_query: &[u8]) -> Vec<u8> {
        let raw = path_and_query.split(|b| *b == b'?').next().unwrap_or_default();
        let mut path = match self.parameters {
            Parameters::BeforeDecoding => without_parameters(raw),
            Parameters::ToTheEnd => raw.split(|b| *b == b';').next().unwrap_or_default().to_vec(),
            Parameters::None | Parameters::AfterDecoding => raw.to_vec(),
        };
        for _ in 0..self.rounds {
            path = percent_encoding::percent_decode(&path).collect();
            if self.parameters == Parameters::AfterDecoding {
                path = without_parameters(&path);
            }
        }
        if self.decodes_question_marks {
            path = path.split(|b| matches!(b, b'?' | b'#')).next().unwrap_or_default().to_vec();
        }
        resolved(&path)
    }
}

fn without_parameters(path: &[u8]) -> Vec<u8> {
    let segments = path.split(|b| *b == b'/').map(|segment| segment.split(|b| *b == b';').next().unwrap_or_default());
    segments.collect::<Vec<_>>().join(&b'/')
}

/// Without empty segments and dot segments. A backslash is a slash, as on Windows.
fn resolved(path: &[u8]) -> Vec<u8> {
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut is_folder = true;
    for segment in path.split(|b| matches!(b, b'/' | b'\\')) {
        is_folder = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    let mut whole = vec![b'/'];
    whole.extend(segments.join(&b'/'));
    if is_folder && whole.len() > 1 {
        whole.push(b'/');
    }
    whole
}
