import { testOps } from "./run.ts";

testOps("conv2d");
