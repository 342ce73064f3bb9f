//! Names of languages.

/// Two letters (ISO 639-1), then three (ISO 639-2/T).
const NAMES: &str = "af afr ar ara az aze be bel bg bul bn ben bs bos ca cat cs ces cy cym da dan de deu el ell en eng \
    es spa et est eu eus fa fas fi fin fr fra ga gle gl glg gu guj he heb hi hin hr hrv hu hun hy hye id ind is isl \
    it ita ja jpn ka kat kk kaz kn kan ko kor lt lit lv lav mk mkd ml mal mn mon mr mar ms msa my mya nb nob ne nep \
    nl nld nn nno no nor pa pan pl pol ps pus pt por ro ron ru rus si sin sk slk sl slv sq sqi sr srp sv swe sw swa \
    ta tam te tel th tha tl tgl tr tur uk ukr ur urd uz uzb vi vie zh zho zu zul";
const UNDETERMINED: [u8; 3] = *b"und";

/// A language by ISO 639 or BCP 47 as three letters; what is not known is `und`.
pub(crate) fn three_letters(tag: Option<&str>) -> [u8; 3] {
    let primary = tag.and_then(|tag| tag.split(['-', '_']).next()).unwrap_or("").to_ascii_lowercase();
    let three = match primary.len() {
        3 if primary.bytes().all(|letter| letter.is_ascii_lowercase()) => Some(primary.as_str()),
        2 => pairs().find(|(two, _)| *two == primary).map(|(_, three)| three),
        _ => None,
    };
    three.and_then(|three| three.as_bytes().try_into().ok()).unwrap_or(UNDETERMINED)
}

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut words = NAMES.split_whitespace();
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
        assert!(pairs().all(|(two, three)| two.len() == 2 && three.len() == 3));
    }
}
