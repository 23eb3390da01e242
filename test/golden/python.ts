/** The Python that has PyTorch. */
import { spawnSync } from "node:child_process";

const candidates = [process.env.AENET_PYTHON, "python3", "/usr/bin/python3"];

/**
 * A python3 that has torch and torchvision, or undefined: $AENET_PYTHON, the first on the path, or the system's own, for
 * which Debian's packages are.
 */
export function findPyTorch(): string | undefined {
  const probe = "import importlib.util as u, sys; sys.exit(not (u.find_spec('torch') and u.find_spec('torchvision')))";
  return candidates.find((python) => python && spawnSync(python, ["-c", probe]).status === 0);
}

/** What to tell a person who has none. */
export const howToGetPyTorch: string =
  "this needs PyTorch: `apt install python3-torch python3-torchvision` on Debian 12 or later and Ubuntu 24.04 or later, " +
  "or `pip install torch torchvision` in an environment whose python3 AENET_PYTHON names";
