/** The exports for clients of the management API: its schemas. */
export { IMMUTABILITY_SCHEMAS } from './immutability/immutability-schemas.ts'
