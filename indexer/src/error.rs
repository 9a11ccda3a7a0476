//! Errors as one line.

use std::error::Error;
use std::fmt;

/// Shows an error with all its causes, joined by `: `. No `Display` of this workspace repeats its
/// source, so nothing is said twice.
pub fn error_chain<'e>(error: &'e (dyn Error + 'static)) -> impl fmt::Display + 'e {
    struct Chain<'e>(&'e (dyn Error + 'static));

    impl fmt::Display for Chain<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)?;
            let mut source = self.0.source();
            while let Some(error) = source {
                write!(f, ": {error}")?;
                source = error.source();
            }
            Ok(())
        }
    }

    Chain(error)
}
