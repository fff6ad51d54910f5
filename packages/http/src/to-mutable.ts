/** A type without `readonly`, at every depth. */
export type Mutable<Value> = Value extends Date | string | number | boolean | null | undefined
  ? Value
  : { -readonly [Key in keyof Value]: Mutable<Value[Key]> }

/**
 * Returns the same value for a response: the types of response schemas are mutable, those of our use cases are
 * readonly. Handlers do not change the value, and the compiler still compares its shape with the schema.
 */
export function toMutable<Value>(value: Value): Mutable<Value> {
  return value as Mutable<Value>
}
