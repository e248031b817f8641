//! Customers and suppliers: invented companies at real places.

use std::io::{self, Write};

use super::dice::{Dice, Stream};
use super::insert::Insert;
use super::places::{FAMILY_NAMES, GIVEN_NAMES, PLACES, Place};
use super::{CUSTOMERS, Northwind, SUPPLIERS};

/// What follows a company's own word.
const KINDS: &[&str] = &[
    " Delikatessen",
    " & Søn",
    " Provisions, Ltd.",
    "'s Pantry",
    " Comércio de Alimentos",
    " Épicerie fine",
    " Imports, Inc.",
    " Kaffeehaus",
    " Market",
    " \"La Despensa\"",
    " Ostoskeskus",
    " Trattoria",
    " y Hermanos",
    " Handelsgesellschaft mbH",
];

const CONTACT_TITLES: &[&str] = &[
    "Accounts, Receiving",
    "Buyer",
    "Export Coordinator",
    "Head of Purchasing",
    "Owner",
    "Owner's Assistant",
    "Sales Lead",
    "Store Manager",
];

/// A company's row, without its key.
#[derive(Debug)]
pub(super) struct Company {
    /// The invented word that its name begins with: different for each row of a table.
    pub(super) word: String,
    pub(super) name: String,
    contact_name: String,
    contact_title: &'static str,
    pub(super) address: String,
    pub(super) place: Place,
    pub(super) postal_code: Option<String>,
    phone: String,
    fax: Option<String>,
}

impl Company {
    fn new(northwind: &Northwind, stream: Stream, index: u64, fax_percent: u64) -> Self {
        let dice = &mut Dice::new(northwind.seed, stream, index);
        let word = word(northwind.seed.wrapping_add(stream as u64), index);
        let place = dice.pick(PLACES);
        let (given_name, _) = dice.pick(GIVEN_NAMES);
        Self {
            name: format!("{word}{}", dice.pick(KINDS)),
            word,
            contact_name: format!("{given_name} {}", dice.pick(FAMILY_NAMES)),
            contact_title: dice.pick(CONTACT_TITLES),
            address: place.address(dice),
            postal_code: place.postal_code(dice),
            phone: place.phone(dice),
            fax: dice.chance(fax_percent).then(|| place.phone(dice)),
            place,
        }
    }

    /// The customer of a row number, counted from 0.
    pub(super) fn customer(northwind: &Northwind, index: u64) -> Self {
        Self::new(northwind, Stream::Customer, index, 75)
    }

    /// The supplier of a row number, counted from 0: its id is one more.
    pub(super) fn supplier(northwind: &Northwind, index: u64) -> Self {
        Self::new(northwind, Stream::Supplier, index, 45)
    }

    /// The key of a customer: its word in capitals.
    pub(super) fn customer_id(&self) -> String {
        self.word.to_ascii_uppercase()
    }
}

const CONSONANTS: &[u8] = b"bcdfhjklmnrstvw";
const VOWELS: &[u8] = b"aeiou";

/// An invented word, capitalised: different indexes give different words.
///
/// Consonants and vowels take turns, five letters as long as there are such words, then seven,
/// then nine.
fn word(seed: u64, index: u64) -> String {
    let (mut letters, mut words, mut index) = (5, 84_375, index);
    while index >= words {
        index -= words;
        letters += 2;
        words *= (CONSONANTS.len() * VOWELS.len()) as u64;
    }
    // `words` has no factors but 3 and 5, and 38,917 has neither: each index keeps a word of its
    // own, far from its neighbours'.
    let mut rest = (index * 38_917 + seed % words) % words;
    let mut word = String::with_capacity(letters);
    for position in 0..letters {
        let choices = if position % 2 == 0 { CONSONANTS } else { VOWELS };
        let letter = char::from(choices[(rest % choices.len() as u64) as usize]);
        rest /= choices.len() as u64;
        word.push(if position == 0 {
            letter.to_ascii_uppercase()
        } else {
            letter
        });
    }
    word
}

pub(super) fn write_customers(northwind: &Northwind, out: &mut impl Write) -> io::Result<()> {
    let mut insert = Insert::into(out, "customers");
    for index in 0..CUSTOMERS * northwind.scale {
        let company = Company::customer(northwind, index);
        insert.row([
            company.customer_id().into(),
            company.name.into(),
            company.contact_name.into(),
            company.contact_title.into(),
            company.address.into(),
            company.place.city.into(),
            company.place.region.into(),
            company.postal_code.into(),
            company.place.country.into(),
            company.phone.into(),
            company.fax.into(),
        ])?;
    }
    insert.end()
}

pub(super) fn write_suppliers(northwind: &Northwind, out: &mut impl Write) -> io::Result<()> {
    let mut insert = Insert::into(out, "suppliers");
    for index in 0..SUPPLIERS * northwind.scale {
        let company = Company::supplier(northwind, index);
        let homepage = (index % 6 == 5).then(|| format!("https://{}.example/", company.word.to_ascii_lowercase()));
        insert.row([
            (index + 1).into(),
            company.name.into(),
            company.contact_name.into(),
            company.contact_title.into(),
            company.address.into(),
            company.place.city.into(),
            company.place.region.into(),
            company.postal_code.into(),
            company.place.country.into(),
            company.phone.into(),
            company.fax.into(),
            homepage.into(),
        ])?;
    }
    insert.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn words_never_repeat() {
        // Past the 84,375 of five letters.
        let words: HashSet<String> = (0..100_000).map(|index| word(42, index)).collect();
        assert_eq!(words.len(), 100_000);
        assert!(words.iter().all(|word| matches!(word.len(), 5 | 7)));
    }

    #[test]
    fn names_fit_their_columns() {
        // The longest word, of nine letters.
        assert!(KINDS.iter().all(|kind| 9 + kind.chars().count() <= 40));
        assert!(CONTACT_TITLES.iter().all(|title| title.len() <= 30));
        let northwind = Northwind::default();
        for index in 0..5000 {
            let company = Company::customer(&northwind, index);
            assert!(company.contact_name.chars().count() <= 30, "{company:?}");
        }
    }
}
