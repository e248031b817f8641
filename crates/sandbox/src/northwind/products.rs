//! The products, and what a product cost on a day.

use std::io::{self, Write};

use chrono::NaiveDate;

use super::companies::Company;
use super::dice::{Dice, Stream};
use super::insert::Insert;
use super::value::Hundredths;
use super::{Northwind, PRODUCTS, SUPPLIERS};

/// What a category sells, and in what.
struct Goods {
    names: &'static [&'static str],
    packings: &'static [&'static str],
}

/// In the order of the categories.
const GOODS: [Goods; 8] = [
    Goods {
        names: &[
            "Apple Cider",
            "Roast Coffee, dark",
            "Mint Tea",
            "Elderflower Cordial",
            "Stout",
        ],
        packings: &["24 x 330 ml bottles", "10 boxes x 25 bags", "500 g tin"],
    },
    Goods {
        names: &["Smoked Paprika", "Grain Mustard", "Crème d'Ail", "Chili-Öl", "Sea Salt"],
        packings: &["12 x 200 ml jars", "48 x 40 g tins", "24 jars"],
    },
    Goods {
        names: &["Almond Nougat", "Butter Toffee", "Marzipan", "Plum Jam", "Turrón"],
        packings: &["16 x 250 g boxes", "100 pieces", "30 x 340 g jars"],
    },
    Goods {
        names: &["Farmhouse Cheddar", "Goat's Curd", "Gruyère", "Quark", "Sweet Butter"],
        packings: &["1 kg wheel", "20 x 250 g", "5 kg block"],
    },
    Goods {
        names: &["Knäckebröd", "Oat Biscuits", "Spelt Pasta", "Rye Loaf", "Polenta"],
        packings: &["24 x 500 g bags", "32 x 200 g packs", "10 kg sack"],
    },
    Goods {
        names: &["Air-dried Ham", "Duck Terrine", "Chorizo \"fuerte\"", "Liver Pâté"],
        packings: &["2 kg piece", "24 x 180 g tins", "50 bags x 6 pcs."],
    },
    Goods {
        names: &[
            "Dried Pears",
            "Sauerkraut",
            "Black Olives",
            "Sun Tomatoes",
            "Silken Tofu",
        ],
        packings: &["12 x 1 lb packs", "25 x 825 g cans", "40 x 100 g bags"],
    },
    Goods {
        names: &[
            "Pickled Herring",
            "Smoked Trout",
            "Squid Rings",
            "Anchovies",
            "Crab Meat",
        ],
        packings: &["10 x 450 g jars", "24 x 4 oz tins", "16 kg crate"],
    },
];

/// A product's row.
#[derive(Debug)]
pub(super) struct Product {
    supplier_index: u64,
    category_id: u64,
    name: &'static str,
    packing: &'static str,
    unit_price: Hundredths,
    in_stock: u64,
    on_order: u64,
    reorder_level: u64,
    discontinued: bool,
}

impl Product {
    /// The product of a row number, counted from 0: its id is one more.
    pub(super) fn new(northwind: &Northwind, index: u64) -> Self {
        let dice = &mut Dice::new(northwind.seed, Stream::Product, index);
        let category = dice.below(GOODS.len() as u64);
        let goods = &GOODS[category as usize];
        // Most are cheap, some dear.
        let quarters = match dice.below(10) {
            0..=6 => dice.between(10, 100),
            7..=8 => dice.between(100, 220),
            _ => dice.between(220, 1000),
        };
        let discontinued = dice.chance(12);
        Self {
            supplier_index: dice.below(SUPPLIERS * northwind.scale),
            category_id: category + 1,
            name: dice.pick(goods.names),
            packing: dice.pick(goods.packings),
            unit_price: Hundredths(quarters * 25 - if dice.chance(20) { 5 } else { 0 }),
            in_stock: dice.below(126),
            on_order: if discontinued || dice.chance(75) {
                0
            } else {
                dice.between(1, 10) * 10
            },
            reorder_level: if discontinued { 0 } else { dice.below(7) * 5 },
            discontinued,
        }
    }

    /// What one unit cost on `date`: the list price, or four fifths of it, to ten cents, before
    /// the rise of spring 1997.
    pub(super) fn unit_price_on(&self, date: NaiveDate) -> Hundredths {
        let rise = NaiveDate::from_ymd_opt(1997, 4, 1);
        if rise.is_some_and(|rise| date < rise) {
            Hundredths((self.unit_price.0 * 4 / 5).next_multiple_of(10))
        } else {
            self.unit_price
        }
    }
}

pub(super) fn write(northwind: &Northwind, out: &mut impl Write) -> io::Result<()> {
    let mut insert = Insert::into(out, "products");
    for index in 0..PRODUCTS * northwind.scale {
        let product = Product::new(northwind, index);
        let supplier = Company::supplier(northwind, product.supplier_index);
        insert.row([
            (index + 1).into(),
            format!("{} {}", supplier.word, product.name).into(),
            (product.supplier_index + 1).into(),
            product.category_id.into(),
            product.packing.into(),
            product.unit_price.into(),
            product.in_stock.into(),
            product.on_order.into(),
            product.reorder_level.into(),
            u64::from(product.discontinued).into(),
        ])?;
    }
    insert.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_packings_fit_their_columns() {
        for goods in &GOODS {
            assert!(goods.names.iter().all(|name| name.chars().count() <= 30));
            assert!(goods.packings.iter().all(|packing| packing.len() <= 20));
        }
    }

    #[test]
    fn the_price_rose_once() {
        let product = Product::new(&Northwind::default(), 0);
        let on = |year, month| product.unit_price_on(NaiveDate::from_ymd_opt(year, month, 1).unwrap());
        assert!(on(1997, 3) < on(1997, 4));
        assert_eq!(on(1997, 4), on(1998, 5));
        assert_eq!(on(1996, 7), on(1997, 3));
    }
}
