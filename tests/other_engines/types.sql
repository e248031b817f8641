-- A column of every type that a Delta table of the lake can have, with the values that go wrong first.
select 1 as id, true as "Flag", cast(32767 as smallint) as i16, cast(-2147483648 as int) as i32,
       9223372036854775807 as i64, cast(1.1 as real) as f32, cast(0.1 as double) as f64,
       cast('123456789012.34' as decimal(15, 2)) as money,
       cast('1234567890123456789012345678.0123456789' as decimal(38, 10)) as wide,
       'ünï' as text, decode('00ff10', 'hex') as bytes, date '2024-02-29' as day,
       arrow_cast('2024-02-29T12:34:56.789012', 'Timestamp(Microsecond, None)') as at_local,
       arrow_cast('2024-02-29T12:34:56.789012Z', 'Timestamp(Microsecond, Some("UTC"))') as at_utc,
       make_array(1, null, 3) as ints, make_array('a', null, '') as texts,
       make_array(arrow_cast('2024-01-01T00:00:00.000001', 'Timestamp(Microsecond, None)')) as times,
       make_array(cast('1.10' as decimal(10, 2)), null) as amounts,
       make_array(cast(1.5 as double), cast('NaN' as double)) as floats
union all
select 2, false, cast(-32768 as smallint), cast(2147483647 as int), -9223372036854775808,
       cast('NaN' as real), cast('-Infinity' as double),
       cast('-0.01' as decimal(15, 2)), cast('-0.0000000001' as decimal(38, 10)), '', decode('', 'hex'), date '0001-01-01',
       arrow_cast('0001-01-01T00:00:00', 'Timestamp(Microsecond, None)'),
       arrow_cast('0001-01-01T00:00:00Z', 'Timestamp(Microsecond, Some("UTC"))'),
       array_remove(make_array(1), 1), array_remove(make_array('a'), 'a'),
       array_remove(make_array(arrow_cast('2024-01-01T00:00:00', 'Timestamp(Microsecond, None)')),
                    arrow_cast('2024-01-01T00:00:00', 'Timestamp(Microsecond, None)')),
       make_array(cast('-99999999.99' as decimal(10, 2))), make_array(cast('-0' as double))
union all
select 3, null, null, null, null, cast('-0' as real), cast('-0' as double), null, null, e'a\nb', null, date '9999-12-31',
       arrow_cast('9999-12-31T23:59:59.999999', 'Timestamp(Microsecond, None)'),
       arrow_cast('9999-12-31T23:59:59.999999Z', 'Timestamp(Microsecond, Some("UTC"))'), null, null, null, null, null
union all
select 4, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null
