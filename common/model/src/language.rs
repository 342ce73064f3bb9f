//! Names of languages: two letters (ISO 639-1), three (ISO 639-2, by either of its lists), or a tag of BCP 47.

/// Two letters, then the three of ISO 639-2/T.
const NAMES: &str = "af afr ar ara az aze be bel bg bul bn ben bs bos ca cat cs ces cy cym da dan de deu el ell en eng \
    es spa et est eu eus fa fas fi fin fr fra ga gle gl glg gu guj he heb hi hin hr hrv hu hun hy hye id ind is isl \
    it ita ja jpn ka kat kk kaz kn kan ko kor lt lit lv lav mk mkd ml mal mn mon mr mar ms msa my mya nb nob ne nep \
    nl nld nn nno no nor pa pan pl pol ps pus pt por ro ron ru rus si sin sk slk sl slv sq sqi sr srp sv swe sw swa \
    ta tam te tel th tha tl tgl tr tur uk ukr ur urd uz uzb vi vie zh zho zu zul";
/// What ISO 639-2/B calls otherwise, and what 639-2/T does.
const BIBLIOGRAPHIC: &str = "alb sqi arm hye baq eus bur mya chi zho cze ces dut nld fre fra geo kat ger deu gre ell \
    ice isl mac mkd may msa per fas rum ron slo slk wel cym";
const UNDETERMINED: [u8; 3] = *b"und";

/// As three letters; what is not known is `und`.
pub fn three_letters(tag: Option<&str>) -> [u8; 3] {
    let primary = primary(tag.unwrap_or(""));
    let three = match primary.len() {
        3 if primary.bytes().all(|letter| letter.is_ascii_lowercase()) => Some(primary.as_str()),
        2 => pairs(NAMES).find(|(two, _)| *two == primary).map(|(_, three)| three),
        _ => None,
    };
    three.and_then(|three| three.as_bytes().try_into().ok()).unwrap_or(UNDETERMINED)
}

/// Whether both names are of one language, whatever its region or script.
pub fn same(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

fn canonical(tag: &str) -> String {
    let primary = primary(tag);
    let known = pairs(BIBLIOGRAPHIC).chain(pairs(NAMES)).find(|(name, _)| *name == primary);
    known.map_or(primary.clone(), |(_, three)| three.to_owned())
}

fn primary(tag: &str) -> String {
    tag.split(['-', '_']).next().unwrap_or("").to_ascii_lowercase()
}

fn pairs(names: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut words = names.split_whitespace();
    std::iter::from_fn(move || Some((words.next()?, words.next()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_have_three_letters() {
        let named = |tag| String::from_utf8(three_letters(Some(tag)).to_vec()).unwrap();
        assert_eq!(
            ["de", "deu", "EN-gb", "pt_BR", "xx", "", "klingon"].map(named),
            ["deu", "deu", "eng", "por", "und", "und", "und"]
        );
        assert!(pairs(NAMES).all(|(two, three)| two.len() == 2 && three.len() == 3));
        assert!(pairs(BIBLIOGRAPHIC).all(|(b, t)| b.len() == 3 && t.len() == 3 && b != t));
    }

    #[test]
    fn two_and_three_letters_of_a_language_are_the_same() {
        assert!(same("ger", "de") && same("DEU", "ger") && same("pt-BR", "por") && same("chi", "zh"));
        assert!(!same("en", "de") && !same("und", "eng"));
    }
}
