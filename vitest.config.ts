import { defineConfig, type ViteUserConfig } from "vitest/config";

const config: ViteUserConfig = defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Dawn's instance lives as long as its process: forked processes keep one test file's device from another's.
    pool: "forks",
    maxWorkers: 2,
    // Generous: on SwiftShader with a busy machine the kill test takes minutes, and a timeout should mean a hang.
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
export default config;
