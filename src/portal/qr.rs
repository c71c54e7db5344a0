//! A QR code as SVG, made here: no outside service ever sees a key. Drawn with presentation attributes alone, which a
//! content policy without `unsafe-inline` lets pass.

use std::fmt::Write;

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code (ISO/IEC 18004 §6.3.8): without them scanners miss it on a dark page.
const QUIET: usize = 4;

/// The inner part of an `<svg>`, and the side of its `viewBox`.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Drawing {
    pub side: usize,
    /// The `d` of one path.
    pub path: String,
}

/// Draws `text`; `None`: it is too long for a QR code.
#[must_use]
pub fn draw(text: &str) -> Option<Drawing> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run.first() == Some(&Color::Dark) {
                // Writing to a string cannot fail.
                let _ = write!(path, "M{} {}h{}v1H{}z", x + QUIET, y + QUIET, run.len(), x + QUIET);
            }
            x += run.len();
        }
    }
    Some(Drawing { side: width + 2 * QUIET, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dark_module_is_drawn_once() {
        let drawing = draw("otpauth://totp/Shop%20admin:alice?secret=GEZDGNBVGY3TQOJQ").unwrap();
        let code = QrCode::with_error_correction_level(
            "otpauth://totp/Shop%20admin:alice?secret=GEZDGNBVGY3TQOJQ",
            EcLevel::M,
        )
        .unwrap();
        let dark = code.to_colors().iter().filter(|color| **color == Color::Dark).count();
        let drawn: usize =
            drawing.path.split('h').skip(1).map(|run| run.split('v').next().unwrap().parse::<usize>().unwrap()).sum();
        assert_eq!(drawn, dark);
        assert_eq!(drawing.side, code.width() + 8);
    }

    #[test]
    fn what_is_too_long_is_not_drawn() {
        assert!(draw(&"x".repeat(5000)).is_none());
    }
}
