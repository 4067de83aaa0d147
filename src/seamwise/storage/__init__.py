"""Layer 3, data storage: tables and their migrations, transactions, and stored bytes.

`database` opens a database and runs transactions, `schema` and `backup` look after it; `tables` names its rows.
`objects` opens an object store, `object_rows` makes bytes count, `upkeep` collects and scrubs. `rows`, `audit` and
`idempotency` are the few statements that many use cases share.
"""
