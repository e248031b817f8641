-- Each line of each order, in the order of the orders.
select o.order_id, o.customer_id, o.employee_id, o.order_date, o.shipped_date, o.freight, o.ship_country,
       d.product_id, d.unit_price, d.quantity, d.discount
from postgres.orders o
join csv.order_details d on d.order_id = o.order_id
order by o.order_id, d.product_id
