import { describe } from 'vitest'
import { memoryJobs, memoryTable } from '../../src/store/memory.ts'
import { jobsContract } from './jobs-contract.ts'
import { tableContract } from './table-contract.ts'

describe('rows in memory', () => tableContract(async () => memoryTable()))
describe('jobs in memory', () => jobsContract(async () => memoryJobs()))
