export * from './registry-client.ts'
export * from './registry-lists.ts'
export * from './registry-request.ts'
