"""From what a client sends to a job: names, packed inputs, masks matched to pictures, drafts, slices on their way."""
