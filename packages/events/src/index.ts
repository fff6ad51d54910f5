export * from './event.ts'
export * from './record-events.ts'
