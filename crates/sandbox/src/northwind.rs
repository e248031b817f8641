//! A trading company's sample data with the tables of the well-known Northwind database.
//!
//! Tables, columns, types and keys, and at scale 1 the row counts, are those of Northwind; every
//! value is made here, from a seed. Each row is a function of the seed and of its number, so that
//! an order can repeat its customer's address and a line its product's price without a lookup,
//! and memory does not grow with the scale.

use std::io::{self, Write};

use crate::Error;

mod companies;
mod dice;
mod employees;
mod insert;
mod orders;
mod picture;
mod places;
mod products;
mod reference;
mod schema;
mod value;

/// Rows of the tables that grow with the scale, at scale 1.
const CUSTOMERS: u64 = 91;
const EMPLOYEES: u64 = 9;
const EMPLOYEE_TERRITORIES: u64 = 49;
const ORDERS: u64 = 830;
const ORDER_DETAILS: u64 = 2155;
const PRODUCTS: u64 = 77;
const SUPPLIERS: u64 = 29;

/// The first order's id.
const ORDER_ID_FIRST: u64 = 10_248;

/// The sample: 13 tables as a script of SQL, and `order_details` as CSV.
///
/// The same scale and seed give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Northwind {
    scale: u64,
    seed: u64,
}

impl Default for Northwind {
    /// Scale 1 from seed 42.
    fn default() -> Self {
        Self { scale: 1, seed: 42 }
    }
}

impl Northwind {
    /// The largest scale: the order ids still fit an `integer`.
    pub const SCALE_MAX: u32 = 2_000_000;

    /// A sample of `scale` times the rows of Northwind, made from `seed`.
    ///
    /// Customers, employees and their territories, orders and their details, products and
    /// suppliers grow with the scale; regions, states, territories, categories and shippers stay,
    /// and the customer demographics stay empty. The keys are `smallint` as in Northwind until
    /// they no longer fit: from scale 28 on `order_id`, from 426 on `product_id`, from 1130 on
    /// `supplier_id` and from 3641 on `employee_id` are `integer`, wherever they stand.
    ///
    /// # Errors
    /// [`Error::Scale`] where `scale` is 0 or more than [`Self::SCALE_MAX`].
    pub fn new(scale: u32, seed: u64) -> Result<Self, Error> {
        if !(1..=Self::SCALE_MAX).contains(&scale) {
            return Err(Error::Scale {
                scale,
                scale_max: Self::SCALE_MAX,
            });
        }
        Ok(Self {
            scale: u64::from(scale),
            seed,
        })
    }

    /// Every table of the script with its rows, and `order_details`, by name.
    pub fn row_counts(&self) -> [(&'static str, u64); 14] {
        [
            ("categories", reference::CATEGORIES.len() as u64),
            ("customer_customer_demo", 0),
            ("customer_demographics", 0),
            ("customers", CUSTOMERS * self.scale),
            ("employee_territories", EMPLOYEE_TERRITORIES * self.scale),
            ("employees", EMPLOYEES * self.scale),
            ("order_details", ORDER_DETAILS * self.scale),
            ("orders", ORDERS * self.scale),
            ("products", PRODUCTS * self.scale),
            ("region", reference::REGIONS.len() as u64),
            ("shippers", reference::SHIPPERS.len() as u64),
            ("suppliers", SUPPLIERS * self.scale),
            ("territories", reference::TERRITORIES.len() as u64),
            ("us_states", reference::STATES.len() as u64),
        ]
    }

    /// Writes the script that makes all tables but `order_details`.
    ///
    /// It runs through psql and as one simple query alike, in one transaction, and again: it
    /// drops the 13 tables first. The tables come without a schema, in UTF-8.
    ///
    /// # Errors
    /// What `out` returns.
    pub fn write_sql(&self, out: &mut impl Write) -> io::Result<()> {
        schema::write_head(self, out)?;
        schema::write_tables(self, out)?;
        reference::write(self, out)?;
        companies::write_customers(self, out)?;
        companies::write_suppliers(self, out)?;
        products::write(self, out)?;
        employees::write(self, out)?;
        orders::write(self, out)?;
        schema::write_constraints(out)?;
        schema::write_end(out)?;
        out.flush()
    }

    /// Writes `order_details` as CSV: a header, no quotes (no value needs them), ordered by
    /// order, prices and discounts with as many decimals as they have.
    ///
    /// # Errors
    /// What `out` returns.
    pub fn write_order_details_csv(&self, out: &mut impl Write) -> io::Result<()> {
        orders::write_details_csv(self, out)?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn sql(northwind: &Northwind) -> String {
        let mut out = Vec::new();
        northwind.write_sql(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn csv(northwind: &Northwind) -> String {
        let mut out = Vec::new();
        northwind.write_order_details_csv(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_same_scale_and_seed_give_the_same_bytes() {
        for scale in [1, 3] {
            let northwind = Northwind::new(scale, 42).unwrap();
            assert_eq!(sql(&northwind), sql(&northwind));
            assert_eq!(csv(&northwind), csv(&northwind));
            let another = Northwind::new(scale, 43).unwrap();
            assert_ne!(sql(&northwind), sql(&another));
            assert_ne!(csv(&northwind), csv(&another));
        }
    }

    #[test]
    fn the_sample_at_scale_1_stays_small() {
        let bytes = sql(&Northwind::default()).len();
        assert!((100_000..200_000).contains(&bytes), "{bytes} bytes");
    }

    #[test]
    fn order_details_are_rectangular_and_unique() {
        for scale in [1, 4] {
            let northwind = Northwind::new(scale, 42).unwrap();
            let csv = csv(&northwind);
            let mut lines = csv.lines();
            assert_eq!(lines.next(), Some("order_id,product_id,unit_price,quantity,discount"));
            let mut keys = HashSet::new();
            let mut orders = HashSet::new();
            let mut rows = 0;
            for line in lines {
                let fields: Vec<&str> = line.split(',').collect();
                assert_eq!(fields.len(), 5, "{line}");
                let order_id: u64 = fields[0].parse().unwrap();
                let product_id: u64 = fields[1].parse().unwrap();
                let unit_price: f64 = fields[2].parse().unwrap();
                let quantity: u64 = fields[3].parse().unwrap();
                let discount: f64 = fields[4].parse().unwrap();
                assert!((1..=PRODUCTS * u64::from(scale)).contains(&product_id), "{line}");
                assert!(unit_price > 0.0 && fields[2] == unit_price.to_string(), "{line}");
                assert!((1..=130).contains(&quantity), "{line}");
                assert!((0.0..1.0).contains(&discount), "{line}");
                assert_eq!(fields[4], discount.to_string(), "{line}");
                assert!(keys.insert((order_id, product_id)), "twice: {line}");
                orders.insert(order_id);
                rows += 1;
            }
            assert_eq!(rows, ORDER_DETAILS * u64::from(scale));
            let ids = ORDER_ID_FIRST..ORDER_ID_FIRST + ORDERS * u64::from(scale);
            assert_eq!(orders, ids.collect::<HashSet<u64>>());
        }
    }

    #[test]
    fn a_key_is_an_integer_where_it_no_longer_fits() {
        let orders = |scale| {
            let mut out = Vec::new();
            schema::write_tables(&Northwind::new(scale, 42).unwrap(), &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(orders(27).contains("order_id smallint"));
        assert!(orders(28).contains("order_id integer"));
        assert!(orders(425).contains("product_id smallint"));
        assert!(orders(426).contains("product_id integer"));
        assert!(orders(1129).contains("supplier_id smallint"));
        assert_eq!(orders(1130).matches("supplier_id integer").count(), 2);
        assert!(orders(3640).contains("employee_id smallint"));
        assert_eq!(orders(3641).matches("employee_id integer").count(), 3);
        assert!(orders(3641).contains("reports_to integer"));
    }

    #[test]
    fn a_scale_out_of_range_is_an_error() {
        for scale in [0, Northwind::SCALE_MAX + 1] {
            assert!(matches!(Northwind::new(scale, 42), Err(Error::Scale { .. })));
        }
        let order_id_last = ORDER_ID_FIRST + ORDERS * u64::from(Northwind::SCALE_MAX) - 1;
        assert!(i32::try_from(order_id_last).is_ok());
    }
}
