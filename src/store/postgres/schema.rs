//! What sekisho has in the database, in a schema of its own: made, and brought to a newer form, by whoever comes first, under a lock that all
//! take.
//!
//! The form has a number. Each step leads from one form to the next and leaves in place what programs of the form before it use, so that
//! an older and a newer sekisho serve side by side; what nobody uses any more goes with the step after. `least` says which programs may
//! still use it.

use tokio_postgres::Client;

use super::connect::{Trouble, leisurely};

/// The form that this sekisho makes.
pub(super) const FORM: i32 = 1;

/// One for all who make or change something of the schema.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7301928455)";

/// From nothing to form 1, from there to form 2, and so on.
const STEPS: [&str; FORM as usize] = [r#"
    CREATE SEQUENCE sekisho.version;
    CREATE TABLE sekisho.record (
        key text COLLATE "C" PRIMARY KEY,
        version bigint NOT NULL,
        value bytea NOT NULL
    );
    CREATE TABLE sekisho.form (
        single boolean PRIMARY KEY DEFAULT true CHECK (single),
        number integer NOT NULL,
        least integer NOT NULL,
        flushes bigint NOT NULL DEFAULT 0
    );
    INSERT INTO sekisho.form (number, least) VALUES (0, 0);
    CREATE FUNCTION sekisho.commit_1(
        lazy boolean, locks bigint[], shared boolean[], compared text[], expected bigint[],
        deleted text[], put text[], contents bytea[], told text[]
    ) RETURNS bigint LANGUAGE plpgsql AS $body$
    DECLARE
        made bigint;
    BEGIN
        IF lazy THEN
            PERFORM set_config('synchronous_commit', 'off', true);
        END IF;
        FOR place IN 1 .. cardinality(locks) LOOP
            IF shared[place] THEN
                PERFORM pg_advisory_xact_lock_shared(locks[place]);
            ELSE
                PERFORM pg_advisory_xact_lock(locks[place]);
            END IF;
        END LOOP;
        IF EXISTS (
            SELECT FROM unnest(compared, expected) AS seen (key, version)
            LEFT JOIN sekisho.record AS found ON found.key = seen.key
            WHERE found.version IS DISTINCT FROM seen.version
        ) THEN
            RETURN NULL;
        END IF;
        made := nextval('sekisho.version');
        DELETE FROM sekisho.record WHERE key = ANY (deleted);
        INSERT INTO sekisho.record (key, version, value)
            SELECT new.key, made, new.value FROM unnest(put, contents) AS new (key, value)
            ON CONFLICT (key) DO UPDATE SET version = excluded.version, value = excluded.value;
        PERFORM pg_notify('sekisho', line) FROM unnest(told) AS line;
        RETURN made;
    END
    $body$;
"#];

/// What was found in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// No schema, or one in which nothing was made yet.
    None,
    /// One that this sekisho can use, perhaps after a step or two.
    Usable(i32),
    /// Made by a newer one, and not for this one any more.
    TooNew(i32),
}

/// Looks, and changes nothing.
pub(super) async fn look(client: &Client) -> Result<Form, Trouble> {
    let present = leisurely(client.query_one("SELECT to_regclass('sekisho.form') IS NOT NULL", &[])).await?;
    if !present.try_get::<_, bool>(0).map_err(Trouble::Driver)? {
        return Ok(Form::None);
    }
    let row = leisurely(client.query_opt("SELECT number, least FROM sekisho.form", &[])).await?;
    let Some(row) = row else { return Ok(Form::None) };
    let (number, least): (i32, i32) =
        (row.try_get(0).map_err(Trouble::Driver)?, row.try_get(1).map_err(Trouble::Driver)?);
    Ok(if least > FORM { Form::TooNew(number) } else { Form::Usable(number) })
}

/// Whether the database keeps text as sekisho needs it: any character, ordered by its bytes.
pub(super) async fn is_utf8(client: &Client) -> Result<bool, Trouble> {
    let row = leisurely(client.query_one("SELECT current_setting('server_encoding') = 'UTF8'", &[])).await?;
    row.try_get(0).map_err(Trouble::Driver)
}

/// Makes the schema, or brings it to this sekisho's form. Does nothing where it has that, or a newer one.
pub(super) async fn make(client: &mut Client) -> Result<(), Trouble> {
    let transaction = leisurely(client.transaction()).await?;
    leisurely(transaction.batch_execute(LOCK)).await?;
    let present = leisurely(transaction.query_one("SELECT to_regnamespace('sekisho') IS NOT NULL", &[])).await?;
    if !present.try_get::<_, bool>(0).map_err(Trouble::Driver)? {
        leisurely(transaction.batch_execute("CREATE SCHEMA sekisho")).await?;
    }
    let mut number = match look(transaction.client()).await? {
        Form::None => 0,
        Form::Usable(number) => number,
        Form::TooNew(_) => return Ok(()),
    };
    for step in STEPS.iter().skip(usize::try_from(number).unwrap_or_default()) {
        leisurely(transaction.batch_execute(step)).await?;
        number += 1;
        let least = (number - 1).max(1);
        leisurely(transaction.execute("UPDATE sekisho.form SET number = $1, least = $2", &[&number, &least])).await?;
    }
    leisurely(transaction.commit()).await
}
