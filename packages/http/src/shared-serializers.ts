import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'

type BuildSerializer = ReturnType<typeof SerializerSelector>
type Serializer = ReturnType<ReturnType<BuildSerializer>>

/**
 * Builds Fastify's serializers of responses, one for each schema object. Without it Fastify compiles the schemas of
 * errors, which most routes share, once for each route and status: 10 MiB and 30 ms in auth-service.
 */
export function shareSerializers(): BuildSerializer {
  const build = SerializerSelector()
  return (externalSchemas, options) => {
    const compile = build(externalSchemas, options)
    const compiled = new WeakMap<object, Serializer>()
    return (route) => {
      const schema = route.schema as object
      const serializer = compiled.get(schema) ?? compile(route)
      compiled.set(schema, serializer)
      return serializer
    }
  }
}
