# SPDX-License-Identifier: BSD-3-Clause
"""What the stories are told with: ferryd, guests, other front-ends and the host's network."""
