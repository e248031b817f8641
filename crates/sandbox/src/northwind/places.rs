//! Cities with the shape of their addresses, and names of people.

use super::dice::Dice;

/// A city: real places, with house numbers, postal codes and telephone numbers that are not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) city: &'static str,
    pub(super) region: Option<&'static str>,
    pub(super) country: &'static str,
    /// A pattern; none where addresses do without.
    postal_code: Option<&'static str>,
    phone: &'static str,
    streets: &'static [&'static str],
}

impl Place {
    pub(super) fn address(&self, dice: &mut Dice) -> String {
        let street = dice.pick(self.streets);
        dice.fill(street)
    }

    pub(super) fn postal_code(&self, dice: &mut Dice) -> Option<String> {
        self.postal_code.map(|pattern| dice.fill(pattern))
    }

    pub(super) fn phone(&self, dice: &mut Dice) -> String {
        dice.fill(self.phone)
    }
}

const fn place(
    city: &'static str,
    region: &'static str,
    country: &'static str,
    postal_code: &'static str,
    phone: &'static str,
    streets: &'static [&'static str],
) -> Place {
    Place {
        city,
        region: if region.is_empty() { None } else { Some(region) },
        country,
        postal_code: if postal_code.is_empty() {
            None
        } else {
            Some(postal_code)
        },
        phone,
        streets,
    }
}

const AMERICAN: &[&str] = &[
    "### Juniper Ave.",
    "#### Old Mill Road, Suite #",
    "## Cedar Creek Blvd.",
    "#### N. 1#th Street",
];
const BRITISH: &[&str] = &["## Harbour Lane", "Unit #, Weavers' Yard", "# St. Brannoc's Terrace"];
const CANADIAN: &[&str] = &["### Portage Street", "## ch. des Érables", "#### Spruce Crescent"];
const DUTCH: &[&str] = &["Molenkade ##", "Wilgenlaan #", "Oude Haven ##b"];
const FRENCH: &[&str] = &["##, rue du Moulin", "#, quai de l'Écluse", "###, av. des Tilleuls"];
const GERMAN: &[&str] = &["Lindenweg ##", "Am Mühlbach #", "Kirschgasse ##a", "Färberstraße #"];
const ITALIAN: &[&str] = &["Via dei Tigli, ##", "Vicolo del Forno #", "P.zza dell'Olmo, #"];
const NORDIC: &[&str] = &["Ekvägen ##", "Nordre Strøm #", "Bjørkveien ##", "Myllykatu # A"];
const POLISH: &[&str] = &["ul. Klonowa ##", "ul. Źródlana #/##", "al. Brzozowa ##"];
const PORTUGUESE: &[&str] = &["Rua das Amoreiras, ##", "Trav. da Fonte, #", "Av. São Tomé, ###"];
const SPANISH: &[&str] = &["Calle del Pozo, ##", "Avda. Los Álamos ###", "Plaza Peñón, #"];

pub(super) const PLACES: &[Place] = &[
    place("Bremen", "", "Germany", "28###", "0421-555####", GERMAN),
    place("Kassel", "", "Germany", "34###", "0561-555####", GERMAN),
    place("Düsseldorf", "", "Germany", "40###", "0211-555####", GERMAN),
    place("Würzburg", "", "Germany", "97###", "0931-555####", GERMAN),
    place("Graz", "", "Austria", "80##", "0316-555###", GERMAN),
    place("Zürich", "", "Switzerland", "80##", "044-555 ## ##", GERMAN),
    place("Rennes", "", "France", "35###", "02.99.55.##.##", FRENCH),
    place("Orléans", "", "France", "45###", "02.38.55.##.##", FRENCH),
    place("Besançon", "", "France", "25###", "03.81.55.##.##", FRENCH),
    place("Namur", "", "Belgium", "B-50##", "(081) 55 ## ##", FRENCH),
    place("Bologna", "", "Italy", "40###", "051-555####", ITALIAN),
    place("Lecce", "", "Italy", "73###", "0832-555###", ITALIAN),
    place("Córdoba", "", "Spain", "14###", "(957) 555 ## #", SPANISH),
    place("A Coruña", "", "Spain", "15###", "(981) 555 ## #", SPANISH),
    place("Rosario", "", "Argentina", "20##", "(34) 555-####", SPANISH),
    place("Puebla", "", "Mexico", "72###", "(2) 555-####", SPANISH),
    place("Mérida", "", "Mexico", "97###", "(9) 555-####", SPANISH),
    place("Braga", "", "Portugal", "47##-###", "(53) 555-####", PORTUGUESE),
    place("Curitiba", "PR", "Brazil", "80###-###", "(41) 555-####", PORTUGUESE),
    place("São Luís", "MA", "Brazil", "65###-###", "(98) 555-####", PORTUGUESE),
    place("Belém", "PA", "Brazil", "66###-###", "(91) 555-####", PORTUGUESE),
    place("Utrecht", "", "Netherlands", "35## @@", "030-555####", DUTCH),
    place("Malmö", "", "Sweden", "2## ##", "040-55 ## ##", NORDIC),
    place("Umeå", "", "Sweden", "90# ##", "090-55 ## ##", NORDIC),
    place("Tromsø", "", "Norway", "90##", "77 55 ## ##", NORDIC),
    place("Odense", "", "Denmark", "50##", "65 55 ## ##", NORDIC),
    place("Tampere", "", "Finland", "33###", "93-555####", NORDIC),
    place("Gdańsk", "", "Poland", "80-###", "(58) 555-##-##", POLISH),
    place("Łódź", "", "Poland", "90-###", "(42) 555-##-##", POLISH),
    place("Galway", "Co. Galway", "Ireland", "", "(091) 555 ###", BRITISH),
    place("Leeds", "", "UK", "LS# #@@", "(0113) 555-####", BRITISH),
    place("Aberdeen", "", "UK", "AB## #@@", "(01224) 555-###", BRITISH),
    place(
        "Halifax",
        "Nova Scotia",
        "Canada",
        "B#@ #@#",
        "(902) 555-####",
        CANADIAN,
    ),
    place(
        "Trois-Rivières",
        "Québec",
        "Canada",
        "G#@ #@#",
        "(819) 555-####",
        CANADIAN,
    ),
    place("Omaha", "NE", "USA", "681##", "(402) 555-####", AMERICAN),
    place("Tucson", "AZ", "USA", "857##", "(520) 555-####", AMERICAN),
    place("Duluth", "MN", "USA", "558##", "(218) 555-####", AMERICAN),
    place("Savannah", "GA", "USA", "314##", "(912) 555-####", AMERICAN),
    place("Spokane", "WA", "USA", "992##", "(509) 555-####", AMERICAN),
    place("Burlington", "VT", "USA", "054##", "(802) 555-####", AMERICAN),
];

/// Given names, with the form of address that goes with them.
pub(super) const GIVEN_NAMES: &[(&str, &str)] = &[
    ("Adèle", "Ms."),
    ("Agnieszka", "Ms."),
    ("Anselm", "Mr."),
    ("Beatriz", "Ms."),
    ("Björn", "Mr."),
    ("Callum", "Mr."),
    ("Carmela", "Mrs."),
    ("Chidi", "Mr."),
    ("Daphne", "Ms."),
    ("Dmitri", "Mr."),
    ("Edda", "Ms."),
    ("Emeka", "Dr."),
    ("Farah", "Dr."),
    ("Femke", "Ms."),
    ("Gaspar", "Mr."),
    ("Hanneke", "Mrs."),
    ("Ignacio", "Mr."),
    ("Imogen", "Ms."),
    ("Jürgen", "Mr."),
    ("Kalle", "Mr."),
    ("Leocadia", "Mrs."),
    ("Lorcan", "Mr."),
    ("Maëlle", "Ms."),
    ("Matteo", "Mr."),
    ("Nadia", "Ms."),
    ("Odile", "Mrs."),
    ("Oskar", "Mr."),
    ("Philippa", "Ms."),
    ("Rafael", "Mr."),
    ("Sakura", "Ms."),
    ("Siobhán", "Ms."),
    ("Teodor", "Mr."),
    ("Ursula", "Dr."),
    ("Violeta", "Ms."),
    ("Wendell", "Mr."),
    ("Zofia", "Ms."),
];

pub(super) const FAMILY_NAMES: &[&str] = &[
    "Abernathy",
    "Achterberg",
    "Baumgärtner",
    "Bianchini",
    "Castelo",
    "Czajka",
    "D'Amico",
    "Delacroix",
    "Dunmore",
    "Eriksen",
    "Etchebarne",
    "Fairweather",
    "Fonseca",
    "Gallardo",
    "Grünwald",
    "Haakonsen",
    "Hollingsworth",
    "Ibarra",
    "Jankowska",
    "Kettunen",
    "Kowalczyk",
    "Lindqvist",
    "Lopes",
    "MacAuley",
    "Marchetti",
    "Møller",
    "Nakagawa",
    "Nuñez",
    "O'Rourke",
    "Okonkwo",
    "Pelletier",
    "Pohjola",
    "Quiroga",
    "Ravensworth",
    "Rossetti",
    "Sandoval",
    "Schönfeld",
    "Tavares",
    "Thistlewood",
    "Underhill",
    "Vandevelde",
    "Villaseñor",
    "Wójcik",
    "Yardley",
    "Zimmerli",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::northwind::dice::Stream;

    #[test]
    fn everything_fits_its_column() {
        for place in PLACES {
            let mut dice = Dice::new(42, Stream::Customer, 0);
            for word in [Some(place.city), place.region, Some(place.country)] {
                assert!(word.unwrap_or_default().chars().count() <= 15, "{place:?}");
            }
            assert!(
                place.postal_code(&mut dice).unwrap_or_default().len() <= 10,
                "{place:?}"
            );
            assert!(place.phone(&mut dice).len() <= 24, "{place:?}");
            assert!(
                place.streets.iter().all(|street| street.chars().count() <= 60),
                "{place:?}"
            );
        }
        assert!(GIVEN_NAMES.iter().all(|(name, _)| name.chars().count() <= 10));
        assert!(FAMILY_NAMES.iter().all(|name| name.chars().count() <= 19));
    }
}
