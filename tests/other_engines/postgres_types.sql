-- Tables of the types that are not text in the lake, with what the server prints of each value beside
-- it: `v` and `v_text`, and in arrays `a` and `a_text`, a JSON list of it. Dates and timestamps are
-- printed as days and microseconds since 1970, which every reader can give.
set timezone = 'UTC';
set datestyle = 'ISO, YMD';
set extra_float_digits = 1;
create function pg_temp.make_table(name text, type text, printed text, vals text[]) returns void language plpgsql as $$
begin
    execute format('create table public.%1$I (id int primary key, v %2$s, v_text text, a %2$s[], a_text text)', name, type);
    execute format(
        'insert into public.%1$I
         select id, v, %3$s, array[v, null, v]::%2$s[], to_json(array[%3$s, null, %3$s])::text
         from (select id::int, x::%2$s from unnest($1) with ordinality as u(x, id)) as t(id, v)', name, type, printed) using vals;
    execute format('insert into public.%1$I values (0, null, null, null, null), (-1, null, null, ''{}'', ''[]'')', name);
end $$;
select pg_temp.make_table(name, type, printed, vals) from (values
    ('booleans', 'boolean', 'v::text', array['true', 'false']),
    ('smallints', 'smallint', 'v::text', array['-32768', '32767', '0']),
    ('integers', 'integer', 'v::text', array['-2147483648', '2147483647', '0']),
    ('bigints', 'bigint', 'v::text', array['-9223372036854775808', '9223372036854775807', '0']),
    ('oids', 'oid', 'v::text', array['4294967295', '0']),
    ('reals', 'real', 'v::text', array['NaN', 'Infinity', '-Infinity', '1e-45', '-3.4028235e38', '0.1', '-0']),
    ('doubles', 'double precision', 'v::text',
        array['NaN', 'Infinity', '-Infinity', '5e-324', '-1.7976931348623157e308', '0.1', '0.30000000000000004', '1']),
    ('zeros', 'double precision', 'v::text', array['-0', '0']),
    ('decimals_9', 'numeric(9,9)', 'v::text', array['0.999999999', '-0.000000001', '0']),
    ('decimals_18', 'numeric(18,2)', 'v::text', array['9999999999999999.99', '-9999999999999999.99', '0.01']),
    ('decimals_38', 'numeric(38,10)', 'v::text',
        array['9999999999999999999999999999.9999999999', '-9999999999999999999999999999.9999999999',
              '1234567890123456789012345678.0123456789', '1234567890123456789012345678.0123456788',
              '0.0000000001', '-0.0000000001', '0']),
    ('decimals_38_0', 'numeric(38,0)', 'v::text',
        array['99999999999999999999999999999999999999', '99999999999999999999999999999999999998', '-1']),
    ('decimals_38_38', 'numeric(38,38)', 'v::text',
        array['0.99999999999999999999999999999999999999', '-0.00000000000000000000000000000000000001']),
    ('moneys', 'money', 'v::numeric::text', array['-92233720368547758.08', '92233720368547758.07', '0']),
    ('texts', 'text', 'v', array['', ' ', 'NULL', E'a\nb\t"\\', 'é𝄞', U&'\FEFF', '''']),
    ('varchars', 'varchar(5)', 'v::text', array['', 'é  ', '𝄞']),
    ('chars', 'char(5)', 'v::text', array['', 'a', 'é']),
    ('names', 'name', 'v::text', array['', 'pg_class']),
    ('bytes_as_char', '"char"', 'v::text', array['', 'a', '"']),
    ('jsons', 'json', 'v::text', array['{"a": 1,  "a": 1e400}', '"\ud834"', ' null ']),
    ('byteas', 'bytea', 'encode(v, ''hex'')', array['', '\x00ff', '\xfeff']),
    ('dates', 'date', '(v - date ''1970-01-01'')::text',
        array['4714-11-24 BC', '0044-03-15 BC', '0001-12-31 BC', '0001-01-01', '1582-10-10', '1969-12-31', '9999-12-31', '10000-01-01',
              '262143-01-01', '5874897-12-31']),
    ('timestamps', 'timestamp', '(extract(epoch from v) * 1000000)::bigint::text',
        array['4714-11-24 BC', '0044-03-15 12:00:00.000001 BC', '0001-01-01', '1969-12-31 23:59:59.999999', '9999-12-31 23:59:59.999999',
              '10000-01-01', '294246-12-31 23:59:59.999999']),
    ('timestamptzs', 'timestamptz', '(extract(epoch from v) * 1000000)::bigint::text',
        array['4714-11-24 00:00:00+00 BC', '0044-03-15 12:00:00.000001+00 BC', '1969-12-31 23:59:59.999999+00', '9999-12-31 23:59:59.999999+00',
              '294246-12-31 23:59:59.999999+00'])
) as t(name, type, printed, vals);
