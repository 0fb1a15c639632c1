// Precompiled for the test programs.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pch_asio.h"
