import openapiTS, { astToString } from 'openapi-typescript'
import type { OpenAPIV3_1 } from 'openapi-types'

/**
 * The TypeScript types of an OpenAPI document, as source code. This package has TypeScript 5 for the generator, which
 * calls the compiler's old API: TypeScript 7 has none.
 */
export async function openapiTypes(document: OpenAPIV3_1.Document): Promise<string> {
  return astToString(await openapiTS(structuredClone(document) as never))
}
