//! The orders and their details.

use std::io::{self, Write};

use chrono::{Days, NaiveDate};

use super::companies::Company;
use super::dice::{Dice, Stream};
use super::insert::Insert;
use super::products::Product;
use super::value::Hundredths;
use super::{CUSTOMERS, EMPLOYEES, Northwind, ORDER_DETAILS, ORDER_ID_FIRST, ORDERS, PRODUCTS};

/// The last two of each 91 customers have never ordered.
const CUSTOMERS_ORDERING: u64 = CUSTOMERS - 2;

/// Of the six shippers, those in use.
const SHIPPERS_USED: u64 = 3;

/// Details of one order, at most: far fewer than the products.
const DETAILS_MAX: u8 = 9;

const DISCOUNTS: &[u64] = &[5, 10, 15, 20, 25];

/// The day of the first order, and of the last: days after it are not known yet.
const DAY_FIRST: NaiveDate = day(1996, 7, 4);
const DAY_LAST: NaiveDate = day(1998, 5, 6);

const fn day(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(date) => date,
        None => panic!("no such day"),
    }
}

/// Orders come evenly from the first day to the last.
fn order_date(northwind: &Northwind, index: u64) -> NaiveDate {
    let days = (DAY_LAST - DAY_FIRST).num_days() as u64;
    DAY_FIRST + Days::new(index * days / (ORDERS * northwind.scale - 1))
}

pub(super) fn write(northwind: &Northwind, out: &mut impl Write) -> io::Result<()> {
    let mut insert = Insert::into(out, "orders");
    for index in 0..ORDERS * northwind.scale {
        let dice = &mut Dice::new(northwind.seed, Stream::Order, index);
        let date = order_date(northwind, index);
        let group = dice.below(northwind.scale);
        let customer_index = group * CUSTOMERS + dice.below(CUSTOMERS_ORDERING);
        let customer = Company::customer(northwind, customer_index);
        let employee_id = dice.below(EMPLOYEES * northwind.scale) + 1;
        let required_days = match dice.below(20) {
            0 => 14,
            1 | 2 => 42,
            _ => 28,
        };
        let shipped_days = if dice.chance(10) {
            dice.between(15, 37)
        } else {
            dice.between(1, 14)
        };
        let shipped = date + Days::new(shipped_days);
        let ship_via = dice.between(1, SHIPPERS_USED);
        let freight = match dice.below(10) {
            0..=4 => dice.between(12, 4_000),
            5..=8 => dice.between(4_000, 15_000),
            _ => dice.between(15_000, 90_000),
        };
        insert.row([
            (ORDER_ID_FIRST + index).into(),
            customer.customer_id().into(),
            employee_id.into(),
            date.into(),
            (date + Days::new(required_days)).into(),
            (shipped <= DAY_LAST).then_some(shipped).into(),
            ship_via.into(),
            Hundredths(freight).into(),
            customer.name.into(),
            customer.address.into(),
            customer.place.city.into(),
            customer.place.region.into(),
            customer.postal_code.into(),
            customer.place.country.into(),
        ])?;
    }
    insert.end()
}

pub(super) fn write_details_csv(northwind: &Northwind, out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"order_id,product_id,unit_price,quantity,discount\n")?;
    for group in 0..northwind.scale {
        for (order, details) in (0..).zip(details_per_order(northwind, group)) {
            let index = group * ORDERS + order;
            write_details_of(northwind, index, details, out)?;
        }
    }
    Ok(())
}

fn write_details_of(northwind: &Northwind, index: u64, details: u8, out: &mut impl Write) -> io::Result<()> {
    let dice = &mut Dice::new(northwind.seed, Stream::OrderDetails, index);
    let date = order_date(northwind, index);
    // One order is discounted as a whole, or not.
    let discount = Hundredths(if dice.chance(40) { dice.pick(DISCOUNTS) } else { 0 });
    let mut products = Vec::with_capacity(usize::from(details));
    while products.len() < usize::from(details) {
        let product = dice.below(PRODUCTS * northwind.scale);
        if !products.contains(&product) {
            products.push(product);
        }
    }
    products.sort_unstable();
    for product in products {
        let unit_price = Product::new(northwind, product).unit_price_on(date);
        let quantity = match dice.below(10) {
            0..=6 => dice.between(1, 30),
            7..=8 => dice.between(5, 12) * 5,
            _ => dice.between(6, 13) * 10,
        };
        writeln!(
            out,
            "{},{},{unit_price},{quantity},{discount}",
            ORDER_ID_FIRST + index,
            product + 1
        )?;
    }
    Ok(())
}

/// How many details each order of a group of 830 has: one at least, 2155 in all.
fn details_per_order(northwind: &Northwind, group: u64) -> Vec<u8> {
    let dice = &mut Dice::new(northwind.seed, Stream::OrderSizes, group);
    let mut details = vec![1u8; ORDERS as usize];
    let mut left = ORDER_DETAILS - ORDERS;
    while left > 0 {
        let order = &mut details[dice.below(ORDERS) as usize];
        if *order < DETAILS_MAX {
            *order += 1;
            left -= 1;
        }
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_its_details() {
        let northwind = Northwind::new(20, 42).unwrap();
        for group in 0..20 {
            let details = details_per_order(&northwind, group);
            assert_eq!(
                details.iter().map(|count| u64::from(*count)).sum::<u64>(),
                ORDER_DETAILS
            );
            assert!(details.iter().all(|count| (1..=DETAILS_MAX).contains(count)));
        }
    }

    #[test]
    fn orders_span_the_known_days() {
        for scale in [1, 5] {
            let northwind = Northwind::new(scale, 42).unwrap();
            assert_eq!(order_date(&northwind, 0), DAY_FIRST);
            let last = ORDERS * u64::from(scale) - 1;
            assert_eq!(order_date(&northwind, last), DAY_LAST);
        }
    }
}
