"""A GitHub that we did not write: npm `emulate` 0.12.2 of Vercel Labs (Apache-2.0), as a second opinion on what we take GitHub to be."""
