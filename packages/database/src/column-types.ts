import type { ColumnType } from 'kysely'

export type Timestamp = ColumnType<Date, Date | string | undefined, Date | string>
/** A column that may be null, and need not be given. */
export type Nullable<Value> = ColumnType<Value | null, Value | null | undefined, Value | null>
export type NullableTimestamp = Nullable<Date>
