import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Input } from '../../../src/core/command.ts'
import { PLAN_COMMAND } from '../../../src/operator/cli/plan.ts'

const small = { devices: '500', lifetime: '4d', days: '5', outage: ['1h'] }

async function plan(values: Input['values']): Promise<string> {
  const printed: string[] = []
  const code = await PLAN_COMMAND.run({
    values,
    words: [],
    print: (text) => printed.push(text),
    signal: new AbortController().signal,
    onHangup: () => {},
  })
  expect(code).toBe(0)
  return printed.join('\n')
}

describe('hearth-operator plan', () => {
  it('prints a table, and JSON when asked', async () => {
    expect(await plan({ ...small, authority: ['primary:300,backup:0'] })).toContain('500 routers, certificates of 4 d')
    const result = JSON.parse(await plan({ ...small, authority: ['primary:300', 'backup:0'], json: true }))
    expect(result.year.authorities.map(({ name }: { name: string }) => name)).toEqual(['primary', 'backup'])
    expect(result.outages.length).toBe(2)
  })

  it('takes how long a CA takes, how many orders it bears at once, and how many instances work', async () => {
    const options = { authority: ['primary:0:4'], issuance: '1m', instances: '2', json: true }
    const { year } = JSON.parse(await plan({ ...small, ...options }))
    expect(year.authorities[0].peaks).toMatchObject([{ name: 'concurrent', max: 4 }])
    expect(year.underWay.max).toBe(16)
    expect(JSON.parse(await plan({ ...small, ...options, instances: undefined })).year.underWay.max).toBe(8)
  })

  it('takes the authorities and their budgets from the settings file', async () => {
    const config = join(import.meta.dirname, '../support/plan.yaml')
    const result = JSON.parse(await plan({ ...small, config, json: true }))
    expect(result.year.authorities[0].peaks).toMatchObject([{ name: 'orders-per-3h', max: 900 }])
  })

  it.each([
    [{ ...small, devices: 'many' }, '--devices'],
    [{ ...small, devices: undefined }, '--devices'],
    [{ ...small, lifetime: '7' }, '--lifetime'],
    [{ ...small, lifetime: '1s' }, '--lifetime'],
    [{ ...small, outage: ['1y'] }, '--outage'],
    [{ ...small, issuance: '5m' }, '--issuance: expected a duration such as 7d, from 10ms to 4m'],
    [{ ...small, instances: '0' }, '--instances'],
    [{ ...small, authority: ['primary:1:x'] }, '--authority primary:1:x'],
    [{ ...small, authority: ['primary'] }, '--authority primary'],
    [{ ...small, authority: ['primary:1'], config: 'x.yaml' }, 'not both'],
  ])('refuses %o', async (values, message) => {
    const wrong = { authority: ['primary:0'], ...values }
    await expect(PLAN_COMMAND.run({ values: wrong } as unknown as Input)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(message),
    })
  })
})
