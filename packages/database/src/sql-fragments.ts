import type { RawBuilder } from 'kysely'
import { sql } from 'kysely'

/** The right side of `column = …` that matches any of the values: one parameter for any number of values. */
export function anyOf(values: readonly string[]): RawBuilder<string> {
  return sql<string>`any(${sql.val([...values])}::text[])`
}

/** An interval of a number of seconds, which may be a fraction. */
export function secondsInterval(seconds: number): RawBuilder<unknown> {
  return sql`make_interval(secs => ${seconds}::double precision)`
}
