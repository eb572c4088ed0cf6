//! Names that are longer than their place.

/// At most so many letters; what is left out is in the middle, because names of tasks differ at both ends.
pub fn shorten(name: &str, most: usize) -> String {
    let letters = name.chars().count();
    if letters <= most {
        return name.to_owned();
    }
    let kept = most.saturating_sub(1);
    let (head, tail) = (kept.div_ceil(2), kept / 2);
    let mut short: String = name.chars().take(head).collect();
    short.push('…');
    short.extend(name.chars().skip(letters - tail));
    short
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn a_name_that_is_too_long_keeps_both_its_ends() {
        assert_eq!(shorten("load", 4), "load");
        assert_eq!(shorten("extract_orders_of_2026", 11), "extra…_2026");
        assert_eq!(shorten("äöüäöü", 3), "ä…ü");
    }
}
