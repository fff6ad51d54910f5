export * from './registry-client.ts'
export * from './registry-lists.ts'
export * from './registry-request.ts'
export * from './retry-on-500.ts'
