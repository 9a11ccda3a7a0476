//! Pictures of badges: one SVG for each kind, made of what the contract says of it. No file, font or host is needed.

use std::fmt::Write as _;

/// What a picture is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Badge<'a> {
    /// Number of the kind.
    pub(super) kind: u128,
    /// Its name.
    pub(super) name: &'a str,
    /// Completed projects that it asks for.
    pub(super) projects: u128,
    /// Average rating that it asks for, times 100.
    pub(super) rating: u128,
    /// Does it ask for an attested X account?
    pub(super) needs_x: bool,
}

/// Colours of a badge: light, middle, dark, and what is written on dark.
struct Colours {
    light: String,
    middle: String,
    dark: String,
    ink: String,
}

impl Colours {
    fn named(light: &str, middle: &str, dark: &str, ink: &str) -> Self {
        let own = str::to_owned;
        Self {
            light: own(light),
            middle: own(middle),
            dark: own(dark),
            ink: own(ink),
        }
    }

    fn of(badge: &Badge<'_>) -> Self {
        match badge.name {
            "bronze" => Self::named("#f3c79a", "#c07a3a", "#4a2810", "#ffe9d2"),
            "silver" => Self::named("#f4f7fa", "#a9b6c3", "#313c48", "#f4f8fc"),
            "gold" => Self::named("#fff0a8", "#e2a91c", "#573a02", "#fff6d0"),
            "platinum" => Self::named("#eafaff", "#8fc7d8", "#123a4a", "#e9fbff"),
            "verified" => Self::named("#bfe0ff", "#2f7fe0", "#0b2a5c", "#eaf4ff"),
            // A colour of its own for every other kind: neighbours in number are far apart on the wheel.
            _ => {
                let hue = badge.kind.wrapping_mul(137) % 360;
                Self {
                    light: format!("hsl({hue}, 80%, 86%)"),
                    middle: format!("hsl({hue}, 55%, 50%)"),
                    dark: format!("hsl({hue}, 60%, 17%)"),
                    ink: format!("hsl({hue}, 80%, 95%)"),
                }
            }
        }
    }
}

/// The name as a title: the first letter large.
pub(super) fn title(badge: &Badge<'_>) -> String {
    let mut letters = badge.name.chars();
    let first: String = letters.next().map_or_else(
        || format!("Kind {}", badge.kind),
        |c| c.to_uppercase().collect(),
    );
    format!("STXWORX {first}{}", letters.as_str())
}

/// Conditions in words, those that there are.
fn conditions(badge: &Badge<'_>) -> Vec<String> {
    let mut all = Vec::new();
    if badge.projects > 0 {
        let plural = if badge.projects == 1 { "" } else { "s" };
        all.push(format!("{} completed project{plural}", badge.projects));
    }
    if badge.rating > 0 {
        let (whole, part) = (badge.rating / 100, badge.rating % 100);
        all.push(format!("an average rating of {whole}.{part:02} or more"));
    }
    if badge.needs_x {
        all.push("an attested X account".to_owned());
    }
    all
}

/// What the badge stands for, in a sentence.
pub(super) fn description(badge: &Badge<'_>) -> String {
    let conditions = conditions(badge);
    let earned = match &conditions[..] {
        [] => "Given to everybody who asks for it".to_owned(),
        [one] => format!("Earned with {one}"),
        [rest @ .., last] => format!("Earned with {} and {last}", rest.join(", ")),
    };
    format!(
        "{earned} on the STXWORX marketplace. It belongs to who earned it and cannot be transferred."
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// Corners of a star or a seal around the middle of the emblem.
fn star(points: u32, outer: f64, inner: f64) -> String {
    let mut path = String::new();
    for corner in 0..points.saturating_mul(2) {
        let radius = if corner % 2 == 0 { outer } else { inner };
        let angle = std::f64::consts::PI * (f64::from(corner) / f64::from(points) - 0.5);
        let (x, y) = (256.0 + radius * angle.cos(), 212.0 + radius * angle.sin());
        let letter = if corner == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{x:.1} {y:.1}");
    }
    path.push('Z');
    path
}

fn chevrons(count: u32) -> String {
    let mut path = String::new();
    for n in 0..count {
        let y = f64::from(count) * -32.0 + f64::from(n) * 56.0 + 240.0;
        let _ = write!(
            path,
            "M174 {:.0}L256 {:.0}L338 {:.0}L338 {:.0}L256 {:.0}L174 {:.0}Z",
            y + 34.0,
            y,
            y + 34.0,
            y + 72.0,
            y + 38.0,
            y + 72.0,
        );
    }
    path
}

/// The ring around the emblem, and the emblem: another one for each kind.
fn emblem(badge: &Badge<'_>) -> (String, String) {
    let round = "M256 72A140 140 0 0 1 256 352A140 140 0 0 1 256 72Z".to_owned();
    match badge.name {
        "bronze" => (round, chevrons(1) + "M256 102L271 136L308 140L280 165L288 201L256 182L224 201L232 165L204 140L241 136Z"),
        "silver" => (star(6, 154.0, 134.0), chevrons(2)),
        "gold" => (star(12, 152.0, 132.0), star(5, 88.0, 36.0)),
        "platinum" => (
            star(8, 158.0, 128.0),
            "M198 146L230 146L208 194L160 194ZM240 146L272 146L296 194L216 194ZM282 146L314 146L352 194L304 194ZM164 206L208 206L244 296ZM220 206L292 206L256 310ZM304 206L348 206L268 296Z"
                .to_owned(),
        ),
        "verified" => (
            star(16, 154.0, 136.0),
            "M182 214L206 190L240 224L308 150L332 174L240 272Z".to_owned(),
        ),
        _ => {
            let points = u32::try_from(badge.kind % 7).unwrap_or(0) + 4;
            (round, star(points, 92.0, 48.0))
        }
    }
}

/// A line of what it asks for, short enough for the picture.
fn line(badge: &Badge<'_>) -> String {
    let mut parts = Vec::new();
    if badge.projects > 0 {
        let plural = if badge.projects == 1 { "" } else { "S" };
        parts.push(format!("{} PROJECT{plural}", badge.projects));
    }
    if badge.rating > 0 {
        parts.push(format!(
            "{}.{:02} STARS",
            badge.rating / 100,
            badge.rating % 100
        ));
    }
    if badge.needs_x {
        parts.push(if parts.is_empty() { "X ACCOUNT" } else { "X" }.to_owned());
    }
    parts.join(" \u{b7} ")
}

/// Largest letters that fit the picture's width, in its units.
fn letters(text: &str, most: usize, width: usize) -> usize {
    // A capital letter of this kind is about seven tenths as wide as high.
    let count = text.chars().count().max(1);
    (width * 10 / 7 / count).clamp(14, most)
}

/// The picture: 512 by 512, readable at 32 by 32 by its outline, colours and emblem.
pub(super) fn svg(badge: &Badge<'_>) -> String {
    let Colours {
        light,
        middle,
        dark,
        ink,
    } = Colours::of(badge);
    let (ring, emblem) = emblem(badge);
    let name = if badge.name.is_empty() {
        format!("KIND {}", badge.kind)
    } else {
        badge.name.to_uppercase()
    };
    let line = line(badge);
    let (name_size, line_size) = (letters(&name, 58, 400), letters(&line, 26, 400));
    let (title, about) = (escaped(&title(badge)), escaped(&description(badge)));
    let (name, line) = (escaped(&name), escaped(&line));
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512" role="img" aria-labelledby="t d">
<title id="t">{title}</title>
<desc id="d">{about}</desc>
<defs>
<linearGradient id="m" x1="0" y1="0" x2="1" y2="1"><stop offset="0" stop-color="{light}"/><stop offset="0.55" stop-color="{middle}"/><stop offset="1" stop-color="{light}"/></linearGradient>
<radialGradient id="g" cx="0.5" cy="0.36" r="0.75"><stop offset="0" stop-color="{middle}" stop-opacity="0.55"/><stop offset="1" stop-color="{dark}" stop-opacity="0"/></radialGradient>
</defs>
<rect width="512" height="512" rx="96" fill="{dark}"/>
<rect width="512" height="512" rx="96" fill="url(#g)"/>
<rect x="14" y="14" width="484" height="484" rx="84" fill="none" stroke="url(#m)" stroke-width="10"/>
<path d="{ring}" fill="{dark}" stroke="url(#m)" stroke-width="16" stroke-linejoin="round"/>
<path d="{emblem}" fill="url(#m)" fill-rule="evenodd"/>
<g font-family="Helvetica, Arial, sans-serif" text-anchor="middle" fill="{ink}">
<text x="256" y="424" font-size="{name_size}" font-weight="700" letter-spacing="2">{name}</text>
<text x="256" y="464" font-size="{line_size}" letter-spacing="1" opacity="0.85">{line}</text>
</g>
</svg>
"##
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds() -> Vec<Badge<'static>> {
        let of = |kind, name, projects, rating, needs_x| Badge {
            kind,
            name,
            projects,
            rating,
            needs_x,
        };
        vec![
            of(1, "bronze", 10, 400, false),
            of(2, "silver", 25, 450, true),
            of(3, "gold", 50, 480, true),
            of(4, "platinum", 100, 490, true),
            of(5, "verified", 0, 0, true),
            of(6, "first", 1, 0, false),
            of(7, "second", 2, 0, false),
            of(8, "", 0, 0, false),
            of(u128::MAX, "<script>\"&' \u{7}", u128::MAX, u128::MAX, true),
        ]
    }

    #[test]
    fn each_kind_has_a_picture_of_its_own_that_needs_nothing() {
        let all: std::collections::BTreeSet<String> = kinds().iter().map(svg).collect();
        assert_eq!(all.len(), kinds().len());
        let paths: std::collections::BTreeSet<String> =
            kinds().iter().map(|b| format!("{:?}", emblem(b))).collect();
        assert_eq!(paths.len(), kinds().len(), "two kinds share an emblem");
        for picture in all {
            assert!(picture.contains("<title id=\"t\">") && picture.contains("<desc id=\"d\">"));
            for foreign in ["href", "url(http", "<script", "<image", "@import", "<style"] {
                assert!(!picture.contains(foreign), "{foreign}: {picture}");
            }
            assert_eq!(picture.matches("http").count(), 1, "the namespace alone");
            assert!(picture.len() < 8_192, "{} bytes", picture.len());
        }
    }

    #[test]
    fn a_name_is_text_whatever_it_holds() {
        let evil = kinds().pop().unwrap();
        let picture = svg(&evil);
        assert!(picture.contains("&lt;SCRIPT&gt;&quot;&amp;&#39;"));
        assert!(!picture.contains('\u{7}'));
    }

    #[test]
    fn the_description_names_what_is_asked_for() {
        let all = kinds();
        assert!(description(&all[1]).starts_with(
            "Earned with 25 completed projects, an average rating of 4.50 or more and an attested X account on"
        ));
        assert!(description(&all[4]).starts_with("Earned with an attested X account on"));
        assert!(description(&all[5]).starts_with("Earned with 1 completed project on"));
        assert!(description(&all[7]).starts_with("Given to everybody"));
        assert_eq!(title(&all[0]), "STXWORX Bronze");
        assert_eq!(title(&all[7]), "STXWORX Kind 8");
    }

    /// With STXWORX_WRITE_BADGES=FOLDER the pictures are written there, to be looked at.
    #[test]
    fn pictures_can_be_looked_at() {
        let Some(folder) = std::env::var_os("STXWORX_WRITE_BADGES") else {
            println!("skipped: STXWORX_WRITE_BADGES names no folder");
            return;
        };
        for badge in kinds() {
            let file = std::path::Path::new(&folder).join(format!("{}.svg", badge.kind));
            std::fs::write(file, svg(&badge)).unwrap();
        }
    }
}
