import { expect, it } from 'vitest'
import { metricsReference } from '../src/core/metrics.ts'
import { settingsReference } from '../src/core/settings-reference.ts'
import { OPERATOR_SETTINGS } from '../src/operator/config.ts'
import { OPERATOR_METRICS } from '../src/operator/watch/metrics.ts'
import { ROUTER_SETTINGS } from '../src/router/config.ts'

// `npx vitest run --project unit test/docs.test.ts -u` writes the page anew.
it('docs/settings.md is made of the tables that read the files', async () => {
  const page = `${settingsReference('Settings of hearth', ROUTER_SETTINGS)}\n${settingsReference('Settings of hearth-operator', OPERATOR_SETTINGS)}`
  await expect(page).toMatchFileSnapshot('../docs/settings.md')
})

it('docs/metrics-operator.md is made of the table of the metrics', async () => {
  const page = metricsReference('Metrics of hearth-operator', OPERATOR_METRICS)
  await expect(page).toMatchFileSnapshot('../docs/metrics-operator.md')
})
