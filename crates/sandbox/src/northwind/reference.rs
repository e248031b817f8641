//! The tables that do not grow: regions, states, territories, categories and shippers.

use std::io::{self, Write};

use super::Northwind;
use super::dice::{Dice, Stream};
use super::insert::Insert;
use super::picture::bitmap;
use super::value::Value;

/// In the order of their ids, from 1.
pub(super) const REGIONS: &[&str] = &["East Coast", "Middle West", "Mountains, Pacific", "South"];

/// Name and description, in the order of their ids, from 1.
pub(super) const CATEGORIES: &[(&str, &str)] = &[
    ("Drinks", "Coffee, tea, cider, cordials; hot or cold"),
    (
        "Sauces & Spices",
        "Mustard, oils, salt, and whatever else \"makes the dish\"",
    ),
    ("Sweets", "Confectionery, jams and a child's first marzipan"),
    ("Dairy", "Cheese (Gruyère & co.), curd, butter"),
    ("Bakery", "Bread, biscuits, pasta; from wheat, rye, oats, spelt"),
    ("Meat", "Hams, sausages, pâtés"),
    ("Garden", "Vegetables and fruit, dried, pickled or fresh"),
    ("Fish", "From the sea and from rivers, smoked or salted"),
];

/// Name and telephone, in the order of their ids, from 1.
pub(super) const SHIPPERS: &[(&str, &str)] = &[
    ("Albatross Parcels", "(503) 555-0142"),
    ("Brightwater Freight, Inc.", "(206) 555-0117"),
    ("Carrier & Sons", "(913) 555-0165"),
    ("Drei Brücken Spedition", "0421-5550188"),
    ("Eastbound Couriers", "(617) 555-0123"),
    ("Fjord Line Logistics", "77 55 01 94"),
];

/// A place to sell in. The numbers are no postal codes.
#[derive(Debug)]
pub(super) struct Territory {
    pub(super) id: &'static str,
    name: &'static str,
    region_id: u64,
}

const fn territory(id: &'static str, name: &'static str, region_id: u64) -> Territory {
    Territory { id, name, region_id }
}

pub(super) const TERRITORIES: &[Territory] = &[
    territory("01017", "Alder Point", 1),
    territory("01034", "Ashby Falls", 1),
    territory("01051", "Barrow Neck", 1),
    territory("01068", "Beacon Hollow", 1),
    territory("01085", "Birch Landing", 1),
    territory("01102", "Caldwell Quay", 1),
    territory("01119", "Cobble Bay", 1),
    territory("01136", "Drummond", 1),
    territory("01153", "Eastmarch", 1),
    territory("01170", "Fenwick Shore", 1),
    territory("01187", "Gull Island", 1),
    territory("01204", "Hart's Ferry", 1),
    territory("01221", "Ironbridge", 1),
    territory("01238", "Kestrel Cove", 1),
    territory("01255", "Larkspur", 1),
    territory("01272", "Mill Harbor", 1),
    territory("01289", "North Salter", 1),
    territory("01306", "Old Tidewater", 1),
    territory("01323", "Penrose", 1),
    territory("03011", "Amber Plains", 2),
    territory("03032", "Big Cottonwood", 2),
    territory("03053", "Clover Junction", 2),
    territory("03074", "Deer Prairie", 2),
    territory("03095", "Elkhorn Bend", 2),
    territory("03116", "Four Silos", 2),
    territory("03137", "Grand Marais", 2),
    territory("03158", "Heron Lake", 2),
    territory("03179", "Iron Range", 2),
    territory("03200", "Juniper Flats", 2),
    territory("03221", "Kettle Moraine", 2),
    territory("05013", "Agate Pass", 3),
    territory("05036", "Bitterroot", 3),
    territory("05059", "Cañon Alto", 3),
    territory("05082", "Driftwood", 3),
    territory("05105", "Echo Mesa", 3),
    territory("05128", "Fir Crossing", 3),
    territory("05151", "Glacier Fork", 3),
    territory("05174", "High Desert", 3),
    territory("05197", "Islas del Norte", 3),
    territory("05220", "Jade Harbor", 3),
    territory("05243", "Kingfisher", 3),
    territory("05266", "Lava Beds", 3),
    territory("05289", "Mariner Heights", 3),
    territory("05312", "Nugget Creek", 3),
    territory("05335", "Orchard Valley", 3),
    territory("07019", "Azalea Park", 4),
    territory("07044", "Bayou Clair", 4),
    territory("07069", "Cypress Knee", 4),
    territory("07094", "Dogwood", 4),
    territory("07119", "Egret Sound", 4),
    territory("07144", "Fort Magnolia", 4),
    territory("07169", "Greenleaf", 4),
    territory("07194", "Hickory Gap", 4),
];

/// Name, abbreviation and region as the Census Bureau draws it, by name.
pub(super) const STATES: &[(&str, &str, &str)] = &[
    ("Alabama", "AL", "south"),
    ("Alaska", "AK", "west"),
    ("Arizona", "AZ", "west"),
    ("Arkansas", "AR", "south"),
    ("California", "CA", "west"),
    ("Colorado", "CO", "west"),
    ("Connecticut", "CT", "northeast"),
    ("Delaware", "DE", "south"),
    ("District of Columbia", "DC", "south"),
    ("Florida", "FL", "south"),
    ("Georgia", "GA", "south"),
    ("Hawaii", "HI", "west"),
    ("Idaho", "ID", "west"),
    ("Illinois", "IL", "midwest"),
    ("Indiana", "IN", "midwest"),
    ("Iowa", "IA", "midwest"),
    ("Kansas", "KS", "midwest"),
    ("Kentucky", "KY", "south"),
    ("Louisiana", "LA", "south"),
    ("Maine", "ME", "northeast"),
    ("Maryland", "MD", "south"),
    ("Massachusetts", "MA", "northeast"),
    ("Michigan", "MI", "midwest"),
    ("Minnesota", "MN", "midwest"),
    ("Mississippi", "MS", "south"),
    ("Missouri", "MO", "midwest"),
    ("Montana", "MT", "west"),
    ("Nebraska", "NE", "midwest"),
    ("Nevada", "NV", "west"),
    ("New Hampshire", "NH", "northeast"),
    ("New Jersey", "NJ", "northeast"),
    ("New Mexico", "NM", "west"),
    ("New York", "NY", "northeast"),
    ("North Carolina", "NC", "south"),
    ("North Dakota", "ND", "midwest"),
    ("Ohio", "OH", "midwest"),
    ("Oklahoma", "OK", "south"),
    ("Oregon", "OR", "west"),
    ("Pennsylvania", "PA", "northeast"),
    ("Rhode Island", "RI", "northeast"),
    ("South Carolina", "SC", "south"),
    ("South Dakota", "SD", "midwest"),
    ("Tennessee", "TN", "south"),
    ("Texas", "TX", "south"),
    ("Utah", "UT", "west"),
    ("Vermont", "VT", "northeast"),
    ("Virginia", "VA", "south"),
    ("Washington", "WA", "west"),
    ("West Virginia", "WV", "south"),
    ("Wisconsin", "WI", "midwest"),
    ("Wyoming", "WY", "west"),
];

pub(super) fn write(northwind: &Northwind, out: &mut impl Write) -> io::Result<()> {
    let mut insert = Insert::into(out, "region");
    for (id, region) in (1..).zip(REGIONS) {
        insert.row([Value::Integer(id), (*region).into()])?;
    }
    insert.end()?;

    let mut insert = Insert::into(out, "us_states");
    for (id, (name, abbreviation, region)) in (1..).zip(STATES) {
        insert.row([
            Value::Integer(id),
            (*name).into(),
            (*abbreviation).into(),
            (*region).into(),
        ])?;
    }
    insert.end()?;

    let mut insert = Insert::into(out, "territories");
    for territory in TERRITORIES {
        insert.row([territory.id.into(), territory.name.into(), territory.region_id.into()])?;
    }
    insert.end()?;

    let mut insert = Insert::into(out, "categories");
    for (id, (name, description)) in (1..).zip(CATEGORIES) {
        // Every other one has a picture; the others' is empty, which is not null.
        let picture = if id % 2 == 1 {
            bitmap(&mut Dice::new(northwind.seed, Stream::Category, id))
        } else {
            Vec::new()
        };
        insert.row([
            Value::Integer(id),
            (*name).into(),
            (*description).into(),
            Value::Bytes(picture),
        ])?;
    }
    insert.end()?;

    let mut insert = Insert::into(out, "shippers");
    for (id, (name, phone)) in (1..).zip(SHIPPERS) {
        insert.row([Value::Integer(id), (*name).into(), (*phone).into()])?;
    }
    insert.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn there_are_as_many_as_in_northwind() {
        let counts = [REGIONS.len(), CATEGORIES.len(), SHIPPERS.len()];
        assert_eq!(counts, [4, 8, 6]);
        assert_eq!((TERRITORIES.len(), STATES.len()), (53, 51));
    }

    #[test]
    fn keys_are_unique_and_names_fit() {
        let ids: HashSet<&str> = TERRITORIES.iter().map(|territory| territory.id).collect();
        assert_eq!(ids.len(), TERRITORIES.len());
        assert!(
            TERRITORIES
                .iter()
                .all(|t| (1..=REGIONS.len() as u64).contains(&t.region_id))
        );
        assert!(CATEGORIES.iter().all(|(name, _)| name.len() <= 15));
    }
}
