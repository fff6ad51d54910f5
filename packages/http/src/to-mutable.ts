/** A type without `readonly`, at every depth. */
export type Mutable<Value> = Value extends Date | string | number | boolean | null | undefined
  ? Value
  : { -readonly [Key in keyof Value]: Mutable<Value[Key]> }

/**
 * The same value, for a response: the types of response schemas are mutable, and those of our use cases are readonly. A
 * handler changes nothing of it, and the compiler still compares its shape with the schema.
 */
export function toMutable<Value>(value: Value): Mutable<Value> {
  return value as Mutable<Value>
}
